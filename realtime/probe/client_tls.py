"""TLS for our own viewers in Python: the probe and the smoke test."""

from __future__ import annotations

import ssl


def context() -> ssl.SSLContext:
    """A client's usual context, but for TLS 1.2.

    websockets' blocking client reads in one thread and writes in another. With TLS 1.3 the server's session
    tickets come after the handshake, and a write while they are being read can wait for ever (OpenSSL's
    objects are not made for two threads, and Python locks them from 3.13 on only).
    """
    found = ssl.create_default_context()
    found.maximum_version = ssl.TLSVersion.TLSv1_2
    return found
