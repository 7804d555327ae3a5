"""A Cognito emulator for the tests, in an environment of its own: it pins another botocore."""

import http.client
import os

from tools.devstack.install.dev_programs import python_environment
from tools.devstack.install.files import ROOT
from tools.devstack.processes.part import Part
from tools.devstack.processes.ports import free_port

# With `cryptography`: without it the emulator signs tokens with a dummy.
PINS = ROOT / "tools" / "devstack" / "install" / "pins" / "ministack.txt"


def start_cognito(port: int | None = None) -> Part:
    """A Cognito emulator, answering, with nothing in it and new keys."""
    folder = python_environment("ministack", 200, PINS)
    port = port or free_port()
    part = Part(
        "cognito",
        [str(folder / "bin" / "python"), "-m", "ministack"],
        port=port,
        url=f"http://127.0.0.1:{port}",
        probe=lambda: _answers(port),
        env=os.environ | {"GATEWAY_PORT": str(port), "MINISTACK_HOST": "127.0.0.1", "BIND_HOST": "127.0.0.1"},
        cwd=folder,
    )
    part.start()
    part.wait_ready()
    return part


def _answers(port: int) -> bool:
    """Whether an HTTP server gives any answer to GET /."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status > 0
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
