"""A small HTTP server that counts the points it is sent, for tests of the proxies.

It counts every request, whether or not it has seen the key: a retry doubles, as with a plain `ADD`.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Connections that break are what this is for."""


class Counter:
    """Scores by player, and the server that raises them."""

    def __init__(self) -> None:
        self.scores: dict[str, int] = {}
        self._lock = threading.Lock()
        counter = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = json.dumps({"newScore": counter.add(body["userId"], body["increment"])}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def add(self, player: str, increment: int) -> int:
        with self._lock:
            self.scores[player] = self.scores.get(player, 0) + increment
            return self.scores[player]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
