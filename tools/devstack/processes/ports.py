"""TCP ports of this machine."""

import contextlib
import random
import socket

from tools.devstack.errors import StackError

# Below every system's range for outgoing connections: a client that keeps dialling a port of that
# range while its server is away can be given the very port and then talks to itself.
_RANGE = range(20000, 32000)


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on the port now."""
    with contextlib.closing(socket.socket()) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            return False
    return not answers(port, host)


def answers(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts connections on the port."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


def free_port() -> int:
    """A port nobody listens on. Somebody may take it before it is used: be ready to ask again."""
    for _ in range(200):
        port = random.choice(_RANGE)
        if is_free(port, "") and is_free(port):
            return port
    raise StackError("no free TCP port between 20000 and 32000")
