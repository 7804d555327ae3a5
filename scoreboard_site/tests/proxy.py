"""A real nginx with TLS in front of a server process, like a load balancer or Elastic Beanstalk's own."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devstack.part import Part
from devstack.testtools import find_nginx

UPGRADE = """
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;"""
CONFIGURATION = """
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
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  upstream application {{ server 127.0.0.1:{application}; keepalive 16; }}
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    location /static/ {{
      alias {static}/;
      add_header Cache-Control "public, max-age=31536000, immutable";
    }}
    location = /keys.json {{ alias {keys}; }}
    location / {{
      proxy_pass http://application;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;{upgrade}
      proxy_read_timeout 120s;{extra}
    }}
  }}
}}
"""


@contextmanager
def nginx(
    folder: Path, port: int, *, upgrade: str = UPGRADE, extra: str = "", **values: object
) -> Iterator[Part]:
    """nginx on `port`, listening; `values` are the other names in CONFIGURATION."""
    # Its workers run as somebody else unless told, who cannot read a test's folder.
    values |= {"user": getpass.getuser(), "folder": folder, "port": port, "upgrade": upgrade, "extra": extra}
    text = CONFIGURATION.format(**values)
    (folder / "nginx.conf").write_text(text)

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    command = [find_nginx(), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    part = Part("nginx", command, port=port, url=f"https://localhost:{port}", probe=answers, cwd=folder)
    part.start()
    try:
        part.wait_ready()
        yield part
    finally:
        part.stop()
