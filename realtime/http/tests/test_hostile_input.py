"""Odd requests on a real server: each gets an answer below 500, and nothing in the log is an ERROR."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tools.testing.processes import ROOT, line_with, server
from tools.testing.raw import RawViewer, client_frame

COOKIE = "Cookie: csrftoken=" + "a" * 32
FORM = "Content-Type: application/x-www-form-urlencoded"
MULTIPART = "Content-Type: multipart/form-data; boundary=x"
SOCKET = (
    b"GET /ws/none HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)


def request(target, method="GET", *lines, body=b""):
    head = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *lines]
    if body:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def form(part_head):
    token = b"--x\r\nContent-Disposition: form-data; name=csrfmiddlewaretoken\r\n\r\n" + b"a" * 32 + b"\r\n"
    body = token + b"--x\r\n" + part_head + b"\r\n\r\nv\r\n--x--\r\n"
    return request("/admin/login/", "POST", MULTIPART, COOKIE, body=body)


def token_of(head):
    return base64.urlsafe_b64encode(head).decode().rstrip("=") + ".e30.e30"


REQUESTS = {
    "1,001 parameters": (400, request("/?" + "&".join(f"a{n}=1" for n in range(1001)))),
    "8,000 ampersands": (400, request("/?" + "&" * 8000)),
    "a static folder": (404, request("/static/scoreboard")),
    "a static folder with a slash": (404, request("/static/scoreboard/")),
    "the parent of a static folder": (404, request("/static/../manage.py")),
    "the parent, encoded": (404, request("/static/%2e%2e/manage.py")),
    "a long file name": (404, request("/static/" + "a" * 3000)),
    "many folders": (404, request("/static/" + "a/" * 2000 + "b")),
    "a NUL in a file name": (404, request("/static/a%00b")),
    "a charset that is none": (200, request("/", "GET", "Content-Type: text/plain; charset=base64")),
    "a charset without a codec": (200, request("/", "GET", "Content-Type: a/b; charset*=bogus''x")),
    "a parameter without a codec": (
        401,
        request("/score/update", "POST", "Content-Type: application/json; a*=undefined''%ff", body=b"{}"),
    ),
    **{
        f"a form in {charset}": (
            415,
            request("/admin/login/", "POST", f"{FORM}; charset={charset}", COOKIE, body=b"a=b"),
        )
        for charset in ("base64", "hex", "undefined", "utf-16", "idna", "bogus")
    },
    "a form of 1,001 fields": (400, request("/admin/login/", "POST", FORM, COOKIE, body=b"&a=1" * 1001)),
    "a form without a boundary": (
        400,
        request("/admin/login/", "POST", "Content-Type: multipart/form-data", COOKIE, body=b"a"),
    ),
    "a part with a long length": (
        400,
        form(b"Content-Disposition: form-data; name=a; filename=b\r\nContent-Length: " + b"9" * 4301),
    ),
    "a part of another codec": (200, form(b"Content-Disposition: form-data; name=a; filename*=base64''%ff")),
    "a session of NULs": (
        302,
        request("/admin/", "GET", 'Cookie: sessionid="\\000\\000\\000\\000\\000\\000"'),
    ),
    "a NUL in the query of the admin site": (400, request("/admin/login/?a=%00")),
    "a NUL in a form": (400, request("/admin/login/", "POST", FORM, COOKIE, body=b"a=%00")),
    "view on site": (302, request("/admin/r/1/1/")),
    "a root path": (200, request("/livez", "GET", "Daphne-Root-Path: \xff")),
    "a subprotocol": (101, SOCKET + b"Sec-WebSocket-Protocol: \xff\r\n\r\n"),
    "a length of 4,301 digits": (
        400,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 4301 + b"\r\n\r\n",
    ),
    "a length of 4,300 digits": (
        413,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 4300 + b"\r\n\r\n",
    ),
    "no host": (400, b"GET /livez HTTP/1.1\r\n\r\n"),
    "two hosts": (400, b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: 127.0.0.1\r\n\r\n"),
    "OPTIONS *": (405, request("*", "OPTIONS")),
    "CONNECT": (405, request("example.com:443", "CONNECT")),
    "a foreign address": (400, request("http://evil.example/")),
    "an unknown method": (405, request("/", "BREW")),
    "GET of a sign-in": (405, request("/demo/sign-in")),
    "a token of brackets": (
        401,
        request("/score/me", "GET", "Authorization: Bearer " + token_of(b"[" * 9000)),
    ),
    "a token with an odd key": (
        401,
        request("/score/me", "GET", "Authorization: Bearer " + token_of(b'{"alg":"RS256","kid":[]}')),
    ),
    "an upgrade of an update": (400, request("/score/update", "POST", "Upgrade: websocket", body=b"{}")),
}


@pytest.fixture(scope="module")
def web(running_stores, tmp_path_factory):
    database = f"sqlite:///{tmp_path_factory.mktemp('admin')}/admin.sqlite3"
    migrate = [sys.executable, "manage.py", "migrate", "-v0"]
    subprocess.run(migrate, cwd=ROOT, env=os.environ | {"DATABASE_URL": database}, check=True, timeout=120)
    lines: list[str] = []
    with server(sink=lines.append, probe="/livez", DATABASE_URL=database) as part:
        part.lines = lines
        yield part


def answer_to(web, data):
    """Status, head and body of the first answer."""
    with socket.create_connection(("127.0.0.1", web.port), timeout=10) as client:
        client.sendall(data)
        received = b""
        while b"\r\n\r\n" not in received and (data := client.recv(65536)):
            received += data
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), head, body


@pytest.mark.parametrize("name", REQUESTS)
def test_an_odd_request_is_answered_and_is_no_error(web, name):
    expected, data = REQUESTS[name]
    status, head, _ = answer_to(web, data)
    assert status == expected, head
    assert status == 101 or (b"nosniff" in head and b"\r\nDate: " in head)
    path = data.split()[1]
    if status >= 400 and not path.startswith(b"/admin/"):
        assert b"application/problem+json" in head
    time.sleep(0.05)
    assert not [
        line for line in web.lines if " ERROR " in line or " CRITICAL " in line or "Traceback" in line
    ]


def test_a_forwarded_address_that_is_not_believed_is_reported_once(web):
    for _ in range(3):
        assert answer_to(web, request("/score/me", "GET", "X-Forwarded-For: 10.1.2.3"))[0] == 401
    line_with(web.lines, "X-Forwarded-For came in")
    time.sleep(0.1)  # for a second one
    warnings = [line for line in web.lines if "X-Forwarded-For came in" in line]
    assert len(warnings) == 1 and "SCOREBOARD_TRUSTED_PROXIES" in warnings[0]


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


HOST = b"POST /score/update HTTP/1.1\r\nHost: 127.0.0.1\r\n"
FLOODS = {
    "empty lines": b"\r\n" * 32_768,
    "folded lines": HOST + b"X-A: b\r\n" + b" \r\n" * 20_000,
    "chunks of a byte": HOST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 10_000,
    "cookies": HOST + b"Cookie: " + b"a=b;" * 3900 + b"\r\n\r\n",
    "a form": HOST
    + b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 4096\r\n\r\n"
    + b"&" * 4096,
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_of_small_pieces_costs_little_before_it_is_refused(web, name):
    before = cpu_seconds(web.pid)
    for _ in range(30):
        assert answer_to(web, FLOODS[name])[0] in (400, 401, 413)
    assert cpu_seconds(web.pid) - before < 30 * 0.03


def test_a_flood_of_empty_frames_is_not_read_beyond_the_rate(web):
    flood = client_frame(1, b"") * 10_900
    with ExitStack() as stack:
        viewers = [stack.enter_context(RawViewer(web.port)) for _ in range(30)]
        for viewer in viewers:
            assert viewer.shake_hands()[0] == 101
        before = cpu_seconds(web.pid)
        for viewer in viewers:
            viewer.send(flood)
            while (frame := viewer.read()).opcode != 8:
                pass
            assert frame.close_code == 4429
            viewer.send(flood)  # nor after the close
        assert answer_to(web, request("/livez"))[0] == 200
        assert cpu_seconds(web.pid) - before < 30 * 0.03


def test_the_problem_of_an_unreadable_request_is_a_problem(web):
    _, _, body = answer_to(web, REQUESTS["OPTIONS *"][1])
    assert json.loads(body)["code"] == "method_not_allowed"
