"""A real nginx in front of a server process, with the files that Elastic Beanstalk's nginx gets."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tools.devstack.install.dev_programs import find_nginx
from tools.devstack.install.files import ROOT
from tools.devstack.processes.part import Part
from tools.devstack.processes.ports import answers

PLATFORM = ROOT / "deploy" / "beanstalk" / ".platform" / "nginx" / "conf.d"
#: What the platform has around them.
AROUND = """
user {user};
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  types {{ text/css css; text/javascript js; image/svg+xml svg; application/json json; }}
  {connection}
  server {{
    listen 127.0.0.1:{port}{protocol};
    {extra}
    {server}
  }}
}}
"""
TLS = "ssl_certificate {certificate}; ssl_certificate_key {key};"


@contextmanager
def nginx(
    folder: Path,
    port: int,
    application: int,
    static: Path,
    changes: dict[str, str] | None = None,
    *,
    tls: tuple[Path, Path] | None = None,
    keys: Path | None = None,
) -> Iterator[Part]:
    """nginx on `port`, listening, in front of a process on the port `application`.

    `changes` are made to the text of the server's part. `tls` is (certificate, key); without it nginx speaks
    plain HTTP. `keys` is a file that it serves as /keys.json.
    """
    server = (PLATFORM / "elasticbeanstalk" / "00_application.conf").read_text()
    there = {
        "http://127.0.0.1:8000": f"http://127.0.0.1:{application}",
        "/var/app/current/staticfiles": str(static),
    }
    for old, new in {**there, **(changes or {})}.items():
        assert old in server, old
        server = server.replace(old, new)
    extra = TLS.format(certificate=tls[0], key=tls[1]) if tls else ""
    if keys:
        extra += f" location = /keys.json {{ alias {keys}; }}"
    text = AROUND.format(
        # Its workers run as somebody else unless told, who cannot read a test's folder.
        user=getpass.getuser(),
        folder=folder,
        port=port,
        protocol=" ssl" if tls else "",
        extra=extra,
        server=server,
        connection=(PLATFORM / "connection.conf").read_text(),
    )
    (folder / "nginx.conf").write_text(text)

    command = [find_nginx(), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    url = f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
    part = Part("nginx", command, port=port, url=url, probe=partial(answers, port), cwd=folder)
    with part.serving():
        yield part
