"""The audit of what is locked: pip-audit itself, against a vulnerability service of our own on loopback."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tools.devstack.install.files import ROOT
from tools.devstack.install.lock import LOCKS


class Service:
    """Answers as OSV does: `known` holds what it says of a package."""

    def __init__(self) -> None:
        self.known: dict[str, list[dict[str, object]]] = {}
        self.asked: set[str] = set()
        self.url = ""


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            name = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]["name"]
            service.asked.add(name)
            found = service.known.get(name)
            body = json.dumps({"vulns": found} if found else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{listener.server_port}/v1/query"
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,))
    thread.start()
    yield service
    listener.shutdown()
    thread.join()
    listener.server_close()


def audit(url: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "tools.devstack.install.audit",
        "--vulnerability-service=osv",
        f"--osv-url={url}",
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_every_locked_package_is_looked_up_and_a_known_vulnerability_fails(service: Service):
    clean = audit(service.url)
    assert clean.returncode == 0, clean.stdout + clean.stderr
    locked = "".join((ROOT / lock).read_text() for lock in LOCKS.values())
    assert service.asked == {name.lower() for name in re.findall(r"^([\w.-]+)==", locked, re.M)}

    when = "2026-01-01T00:00:00Z"
    hole: dict[str, object] = {
        "id": "PYSEC-2026-1", "summary": "a hole", "details": "a hole", "modified": when, "published": when,
        "affected": [
            {
                "package": {"name": "django", "ecosystem": "PyPI"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99"}]}],
            }
        ],
    }  # fmt: skip
    service.known["django"] = [hole]
    bad = audit(service.url)
    assert bad.returncode == 1
    assert re.search(r"^django +\S+ +PYSEC-2026-1 +99", bad.stdout, re.M), bad.stdout


def test_what_cannot_be_looked_up_has_not_been_audited():
    assert audit("http://127.0.0.1:1/v1/query").returncode == 1
