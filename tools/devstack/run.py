"""`make run`: the stores, the tables, the web server and what keeps its ranking full, in one terminal."""

import http.client
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from tools.devstack.console import log_of, tell
from tools.devstack.errors import StackError
from tools.devstack.install.files import ROOT, mark_used
from tools.devstack.install.packages import VENV
from tools.devstack.processes import children, stores
from tools.devstack.processes.data_folder import (
    access_key,
    claim,
    keep_private,
    remove_addresses,
    space_watch,
    write_addresses,
)
from tools.devstack.processes.environment import for_parts, without_proxies
from tools.devstack.processes.part import Part
from tools.devstack.processes.ports import answers, free_port, is_free
from tools.devstack.processes.supervisor import Supervisor


class Stopped(BaseException):
    """A signal asked us to stop. Not an Exception, so that no handler takes it for a failure."""


def run_stack(*, data_dir: Path, port: int, demo: bool) -> int:
    """Run everything until a signal; 0 after an orderly stop. StackError says why it cannot go on."""
    folder = data_dir / "demo" if demo else data_dir
    try:
        _on_signals(_raise_stopped)
        keep_private()
        children.guard.close()
        children.guard.held_files = [claim(folder), mark_used(VENV)]
        _check_port(port)
    except Stopped as why:
        tell(f"stopped, before anything was started: {why}")
        return 0
    return _run(folder, port, demo)


def _run(folder: Path, port: int, demo: bool) -> int:
    supervisor = Supervisor(tell)
    reason: StackError | None = None
    try:
        _start(supervisor, folder, port, demo)
        supervisor.watch(space_watch(folder, tell))
    except Stopped as why:
        tell(f"stopping: {why}")
    except StackError as error:
        reason = error
    finally:
        children.ending.set()
        _on_signals(_kill_all)
        supervisor.stop()
        remove_addresses(folder)
    if reason:
        raise reason
    tell("stopped; the scores are kept in " + str(folder))
    return 0


def _start(supervisor: Supervisor, folder: Path, port: int, demo: bool) -> None:
    began = time.monotonic()
    addresses, started = _start_stores(supervisor, folder)
    addresses |= {"PORT": str(port)} | without_proxies(os.environ)
    env = for_parts(os.environ) | addresses | {"DATA_DIR": str(folder)}
    how_to_moderate: list[str] = []
    _manage(env, "local_moderator", how_to_moderate.append)  # while the stores start
    for part in started:
        _wait(part)
    _create_tables(env)
    write_addresses(folder, addresses)
    _check_port(port)
    web = _python_part(
        "web", "manage.py", "serve", "--host", "127.0.0.1", "--port", str(port), env=env, port=port
    )
    supervisor.start(web)
    _wait(web)
    filler = ["manage.py", "rebuild_ranking", "--full", "--watch"]
    _start_beside(supervisor, _python_part("ranking", *filler, env=env), stop_after=web)
    if demo:
        _start_beside(supervisor, _python_part("demo", "-m", "tools.devstack.demo", env=env))
    if os.environ.get("DATABASE_URL"):
        tell("DATABASE_URL of this shell is not used: the moderators' accounts are in " + str(folder))
    for line in how_to_moderate:
        tell(line)
    tell(f"ready after {time.monotonic() - began:.1f} s: http://127.0.0.1:{port}")


def _check_port(port: int) -> None:
    if not is_free(port):
        raise StackError(
            f"port {port} is taken by another program: choose another, for example PORT={port + 1}"
        )


def _start_stores(supervisor: Supervisor, folder: Path) -> tuple[dict[str, str], list[Part]]:
    """Start the stores that the shell does not name; how to reach both, and what was started."""
    key = access_key(folder)
    makers = {
        "DYNAMODB_ENDPOINT_URL": partial(stores.dynamodb_part, access_key=key, sink=log_of("dynamodb")),
        "REDIS_URL": partial(stores.valkey_part, sink=log_of("valkey")),
    }
    addresses: dict[str, str] = {}
    started = []
    for variable, make in makers.items():
        addresses[variable] = os.environ.get(variable, "")
        if addresses[variable]:
            _check_given(variable, addresses[variable])
            continue
        part = make(folder, free_port())
        supervisor.start(part)
        started.append(part)
        addresses[variable] = part.url
        if variable == "DYNAMODB_ENDPOINT_URL":
            addresses |= {"DYNAMODB_REGION": stores.REGION, "DYNAMODB_ACCESS_KEY_ID": key}
    return addresses, started


def _check_given(variable: str, url: str) -> None:
    address = urlsplit(url)
    port = address.port or {"http": 80, "https": 443}.get(address.scheme, 6379)
    if not address.hostname or not answers(port, address.hostname):
        raise StackError(f"{variable}={url} does not answer")
    tell(f"using {variable}={url}")


def _wait(part: Part) -> None:
    part.wait_ready()
    tell(f"{part.title} answers, process {part.pid}")


def _start_beside(supervisor: Supervisor, part: Part, stop_after: Part | None = None) -> None:
    """Start a part without a port: there is no answer to wait for."""
    supervisor.start(part, stop_after)
    tell(f"{part.title} runs, process {part.pid}")


def _python_part(name: str, *arguments: str, env: dict[str, str], port: int = 0) -> Part:
    return Part(
        name,
        [sys.executable, *arguments],
        port=port,
        probe=(lambda: is_ready(port)) if port else None,
        env=env,
        cwd=ROOT,
        grace=10.0,
        sink=log_of(name),
    )


def _create_tables(env: dict[str, str]) -> None:
    """On a busy machine the emulator's first write can take longer than the product waits: try again."""
    for last in (False, False, True):
        try:
            return _manage(env, "create_tables", log_of("tables"))
        except StackError:
            if last:
                raise


def _manage(env: dict[str, str], command: str, echo: Callable[[str], None]) -> None:
    code, output = children.run([sys.executable, "manage.py", command], env=env, cwd=ROOT, echo=echo)
    if code != 0:
        raise StackError(f"manage.py {command} failed: {(output.splitlines() or ['no output'])[-1]}")


def is_ready(port: int) -> bool:
    """Whether the web server says 200 to GET /readyz."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _on_signals(handler: Callable[[int, FrameType | None], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)


def _raise_stopped(number: int, _: FrameType | None) -> None:
    raise Stopped(signal.Signals(number).name)


def _kill_all(number: int, _: FrameType | None) -> None:
    """A second signal during the stop: leave at once, the guard kills what is left."""
    os._exit(128 + number)
