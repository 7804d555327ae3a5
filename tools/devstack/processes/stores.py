"""The two stores as real processes: DynamoDB Local and Valkey. Used by `make run` and by the tests.

dynamodb = start_dynamodb(None)      # in memory, on a free port
valkey = start_valkey(Path(".local"))  # kept in .local/valkey
…                                    # dynamodb.url, valkey.url, .kill(), .start(), .wait_ready()
valkey.stop(); dynamodb.stop()
"""

import contextlib
import http.client
import os
import re
import shutil
import socket
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tools.devstack.errors import StackError
from tools.devstack.install.dynamodb_local import JAR, dynamodb_folder
from tools.devstack.install.files import writable_folder
from tools.devstack.install.programs import check_platform, find_java, find_valkey
from tools.devstack.processes.environment import for_parts
from tools.devstack.processes.part import Part
from tools.devstack.processes.ports import free_port, is_free

Sink = Callable[[str], None] | None
ATTEMPTS = 4
#: DynamoDB Local keeps the tables of each access key and region in a file, or all in one.
REGION, SHARED = "us-east-1", "shared-local-instance.db"
#: In the locale C, Java finds no file whose name is not ASCII.
JAVA_LOCALE = {"LC_ALL": "C.UTF-8"} if sys.platform == "linux" else {}
# The settings that DynamoDB Local repeats at its start, and an advice for servers, not laptops.
_DYNAMODB_NOISE = re.compile(r"Initializing DynamoDB Local|\w+:\t|\s*$")
_LIST_TABLES = {
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Target": "DynamoDB_20120810.ListTables",
}
_VALKEY_NOISE = re.compile(r".*Memory overcommit must be enabled|.*scheduling shutdown|.*bye bye")


def start_dynamodb(data_dir: Path | None, port: int | None = None, *, sink: Sink = None) -> Part:
    """DynamoDB Local, answering. Data in `data_dir/dynamodb`, or in memory with None.

    Port None: a free one. Killed with SIGKILL under load it may lose what it acknowledged in the
    last 0.3 s. It listens on all interfaces; it has no option to bind to one.
    """
    return _started(partial(dynamodb_part, data_dir, sink=sink), port)


def start_valkey(data_dir: Path | None, port: int | None = None, *, sink: Sink = None) -> Part:
    """Valkey on 127.0.0.1, answering. Data in `data_dir/valkey` (append-only file); None: thrown away."""
    return _started(partial(valkey_part, data_dir, sink=sink), port)


def dynamodb_part(
    data_dir: Path | None, port: int, *, access_key: str | None = None, sink: Sink = None
) -> Part:
    """DynamoDB Local, not yet started.

    All access keys see the same tables, unless one is given. Then each key has tables of its own, and those
    that `data_dir` holds for all keys become the given one's.
    """
    check_platform()
    storage = ["-inMemory"]
    database = f"{access_key}_{REGION}.db" if access_key else SHARED
    if data_dir:
        folder = writable_folder(data_dir / "dynamodb")
        if (folder / SHARED).exists() and not (folder / database).exists():
            (folder / SHARED).rename(folder / database)
        check_database(folder / database)
        storage = ["-dbPath", str(folder)]
    if not access_key:
        storage.append("-sharedDb")
    program = dynamodb_folder()
    java = [
        *find_java(),
        "-XX:+UseSerialGC",
        "-XX:-UsePerfData",
        "-XX:TieredStopAtLevel=1",  # half the CPU of a start, and less than the second compiler ever saves
        f"-Djava.library.path={program}/DynamoDBLocal_lib",
    ]
    options = ["-port", str(port), "-disableTelemetry", *storage]
    return Part(
        "dynamodb",
        [*java, "-jar", str(program / JAR), *options],
        port=port,
        url=f"http://127.0.0.1:{port}",
        probe=partial(dynamodb_answers, port, access_key=access_key or "local"),
        cwd=program,
        env=for_parts(os.environ) | JAVA_LOCALE,
        orphan_grace=2.0,
        sink=without(_DYNAMODB_NOISE, sink),
    )


def valkey_part(data_dir: Path | None, port: int, *, sink: Sink = None) -> Part:
    """Valkey, not yet started."""
    check_platform()
    folder = writable_folder(data_dir / "valkey") if data_dir else Path(tempfile.mkdtemp(prefix="valkey-"))
    durable = ["--appendonly", "yes", "--appendfsync", "everysec"] if data_dir else ["--appendonly", "no"]
    network = ["--port", str(port), "--bind", "127.0.0.1", "--protected-mode", "yes"]
    return Part(
        "valkey",
        [find_valkey(), *network, "--dir", str(folder), "--save", "", "--loglevel", "warning", *durable],
        port=port,
        url=f"redis://127.0.0.1:{port}/0",
        probe=partial(valkey_answers, port),
        env=for_parts(os.environ),
        orphan_grace=2.0,
        sink=without(_VALKEY_NOISE, sink),
        on_stop=None if data_dir else partial(shutil.rmtree, folder, ignore_errors=True),
    )


def dynamodb_answers(port: int, host: str = "127.0.0.1", access_key: str = "local") -> bool:
    """Whether ListTables succeeds. The first call opens the database and loads most of the program,
    which can take longer than clients in a hurry wait."""
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        # The emulator wants a signature and never checks it.
        credential = f"Credential={access_key}/20200101/{REGION}/dynamodb/aws4_request"
        signed = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0"
        connection.request("POST", "/", "{}", _LIST_TABLES | {"Authorization": signed})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def valkey_answers(port: int, host: str = "127.0.0.1") -> bool:
    """Whether PING gets a PONG; not yet while it loads its data."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=2) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(64).startswith(b"+PONG")
    return False


def without(noise: re.Pattern[str], sink: Sink) -> Sink:
    """A sink that passes on all lines but those that match."""
    return (lambda line: None if noise.match(line) else sink(line)) if sink else None


def check_database(path: Path) -> None:
    """StackError when the file exists and is no whole SQLite database."""
    if not path.exists() or path.stat().st_size == 0:
        return
    try:
        with contextlib.closing(sqlite3.connect(path)) as database:
            verdict = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        verdict = str(error)
    if verdict != "ok":
        raise StackError(f"the data in {path} is corrupt ({verdict}): move the folder away or restore a copy")


def _started(make: Callable[[int], Part], port: int | None) -> Part:
    """Start a part and wait until it answers; when a port of our choice is snatched away, try another."""
    if port is not None and not is_free(port):
        raise StackError(f"port {port} is taken by another program: choose another")
    for attempt in range(ATTEMPTS):
        part = make(port or free_port())
        part.start()
        try:
            part.wait_ready()
            return part
        except StackError:
            part.stop()
            if port or is_free(part.port) or attempt == ATTEMPTS - 1:
                raise
        except BaseException:
            part.stop()
            raise
    raise AssertionError("unreachable")
