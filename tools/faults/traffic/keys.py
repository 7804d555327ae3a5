"""A key set that is published over HTTP, as a user pool's, and tokens signed with its keys."""

from __future__ import annotations

import functools
import json
import threading
import time
import uuid
from collections.abc import Callable
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tools.faults.traffic.journal import Attempt, Reply
from tools.faults.traffic.writers import HttpSender

ISSUER = "https://keys.example/pool"
CLIENT_ID = "page"


class KeyServer:
    """Publishes the keys named so far; the first is "old". A context manager."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._file = folder / "jwks.json"
        self._keys = {
            name: rsa.generate_private_key(public_exponent=65537, key_size=2048) for name in ("old", "new")
        }
        self.publish("old")
        handler = functools.partial(_Quiet, directory=str(folder))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> KeyServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def publish(self, *names: str) -> None:
        """These keys are the key set from now on."""
        keys = []
        for name in names:
            public = jwt.algorithms.RSAAlgorithm.to_jwk(self._keys[name].public_key(), as_dict=True)
            keys.append(public | {"kid": name, "alg": "RS256", "use": "sig"})
        self._file.write_text(json.dumps({"keys": keys}))

    def settings(self, port: int) -> dict[str, str]:
        """Of a server that fetches the keys through `port`."""
        return {
            "COGNITO_USER_POOL": "pool",
            "COGNITO_ISSUER": ISSUER,
            "COGNITO_CLIENT_IDS": CLIENT_ID,
            "COGNITO_KEYSET_URL": f"http://127.0.0.1:{port}/jwks.json",
        }

    def signer(self, name: str) -> Callable[[str], str]:
        """Makes access tokens for a subject, signed with this key."""

        def sign(subject: str) -> str:
            now = int(time.time())
            claims = {
                "sub": subject,
                "iss": ISSUER,
                "client_id": CLIENT_ID,
                "token_use": "access",
                "scope": "",
                "iat": now,
                "exp": now + 600,
                "jti": uuid.uuid4().hex,
            }
            return jwt.encode(claims, self._keys[name], algorithm="RS256", headers={"kid": name})

        return sign


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Nobody reads it."""


def update(port: int, token: str, attempt: Attempt) -> Reply:
    """One request with this token."""
    send = HttpSender([port], token)
    try:
        return send(attempt)
    finally:
        send.close()
