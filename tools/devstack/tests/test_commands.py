"""The commands as a person types them: what they refuse, and in which words. No part is started here."""

import contextlib
import os
import platform
import shutil
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tools.devstack import cli
from tools.devstack.cli import chooses
from tools.devstack.errors import StackError
from tools.devstack.install import files, installer, packages, programs
from tools.devstack.install.files import ROOT
from tools.devstack.processes import data_folder
from tools.devstack.processes.ports import free_port
from tools.devstack.tests.stage import call, stack_command

MUSL = "import sysconfig; sysconfig.get_config_vars()['SOABI'] = 'cpython-312-x86_64-linux-musl'"


def call_where(change: str, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """`python -m tools` in an interpreter in which the statement `change` has been executed."""
    script = f"import runpy, sys; {change}; runpy.run_module('tools', run_name='__main__')"
    return call([sys.executable, "-c", script, *arguments], **changes)


def test_wrong_python_is_refused_in_one_line():
    answer = call_where("sys.version_info = (3, 8, 10)", "run")
    assert answer.returncode == 2
    assert answer.stderr == "error: Python 3.11 or newer is needed, this is 3.8: try PYTHON=python3.12\n"


@pytest.mark.parametrize("port", ["0", "65536", "eighty", "-1", "1_0", "８０００"])
def test_port_must_be_a_port(port):
    answer = call(stack_command("--port", port, "run"))
    assert answer.returncode == 2
    assert "port" in answer.stderr.splitlines()[-1]


def test_port_that_is_taken_stops_the_start(tmp_path):
    with contextlib.closing(socket.create_server(("127.0.0.1", free_port()))) as listener:
        port = str(listener.getsockname()[1])
        answer = call(stack_command("--port", port, "--data-dir", str(tmp_path), "run"))
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"error: port {port} is taken by another program: choose another")
    assert len(answer.stderr.splitlines()) == 1


def test_data_folder_that_cannot_be_written_stops_the_start(tmp_path):
    (tmp_path / "file").touch()
    answer = call(stack_command("--data-dir", str(tmp_path / "file" / "data"), "run"))
    assert answer.returncode == 1
    assert answer.stderr == f"error: cannot create the folder {tmp_path}/file/data: Not a directory\n"


def test_read_only_data_folder_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # the suite may run as root, who may write anywhere
    with pytest.raises(StackError, match="is not writable: check its owner, or choose another"):
        data_folder.claim(tmp_path)


def test_database_of_the_moderators_is_the_owners_alone(tmp_path):
    (tmp_path / "admin.sqlite3").touch(mode=0o644)
    os.close(data_folder.claim(tmp_path))
    assert (tmp_path / "admin.sqlite3").stat().st_mode & 0o777 == 0o600


def test_full_disk_is_told_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 7_000_000))
    with pytest.raises(StackError, match=f"disk full: 7 MB free at {tmp_path}, 50 MB are needed"):
        data_folder.claim(tmp_path)


def test_disk_that_fills_up_later_is_told_once(tmp_path, monkeypatch):
    told = []
    check = data_folder.space_watch(tmp_path, told.append)
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(data_folder, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 3_000_000))
    for _ in range(4):
        check()
    assert told == [f"disk full: 3 MB free at {tmp_path}; updates will fail until there is room"]


def test_system_without_unix_locks_is_named_before_they_are_imported():
    answer = call_where("sys.modules['fcntl'] = None; sys.platform = 'win32'", "run")
    assert answer.returncode == 2
    assert answer.stderr == (
        "error: unsupported platform win32: the stack runs on Linux and macOS (on Windows use WSL 2)\n"
    )


def test_unsupported_platform_is_named(monkeypatch):
    monkeypatch.setattr(sys, "platform", "freebsd14")
    with pytest.raises(StackError, match="unsupported platform freebsd14/"):
        programs.check_platform()


@pytest.mark.parametrize("verb", ["run", "test"])
def test_musl_is_named_before_anything_is_installed(verb):
    answer = call_where(MUSL, verb, REDIS_URL="redis://127.0.0.1:1/0")
    assert answer.returncode == 1
    named = f"error: unsupported platform linux-musl/{platform.machine()}: the parts run on Linux (glibc) and"
    assert answer.stderr.startswith(named)
    assert len(answer.stderr.splitlines()) == 1


def test_musl_is_no_obstacle_when_both_stores_are_given(tmp_path):
    given = {"DYNAMODB_ENDPOINT_URL": "http://127.0.0.1:1", "REDIS_URL": "redis://127.0.0.1:1/0"}
    options = ("--port", str(free_port()), "--data-dir", str(tmp_path))
    answer = call_where(MUSL, *options, "run", **given)
    assert answer.stderr == "error: DYNAMODB_ENDPOINT_URL=http://127.0.0.1:1 does not answer\n"


@pytest.mark.parametrize("variable", ["DYNAMODB_ENDPOINT_URL", "REDIS_URL"])
def test_given_store_that_does_not_answer_is_named(tmp_path, variable):
    other = {"DYNAMODB_ENDPOINT_URL", "REDIS_URL"} - {variable}
    with contextlib.closing(socket.create_server(("127.0.0.1", free_port()))) as listener:
        answering = f"http://127.0.0.1:{listener.getsockname()[1]}"
        given = {variable: "redis://127.0.0.1:1/0", other.pop(): answering}
        answer = call(stack_command("--port", str(free_port()), "--data-dir", str(tmp_path), "run"), **given)
    assert answer.returncode == 1
    assert answer.stderr == f"error: {variable}=redis://127.0.0.1:1/0 does not answer\n"


@pytest.mark.parametrize("data_dir", ["relative", "absolute"])
def test_token_stands_alone_on_the_last_line(tmp_path, data_dir):
    chosen = str(tmp_path) if data_dir == "absolute" else os.path.relpath(tmp_path, ROOT)
    answer = call(stack_command("--data-dir", chosen, "token", "--user", "ann"))
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[-1].count(".") == 2
    assert (tmp_path / "issuer").is_dir()


def test_smoke_needs_no_development_tools(monkeypatch, capsys):
    def ensure(name):
        raise StackError(f"the packages of {name!r} are enough")

    monkeypatch.setattr(packages, "ensure", ensure)
    assert cli.main(["smoke"]) == 1
    assert capsys.readouterr().err == "error: the packages of 'run' are enough\n"


def test_windows_checkout_has_unix_line_ends(tmp_path):
    git = ["git", "-c", "core.autocrlf=true", "-c", "user.name=a", "-c", "user.email=a@b.example"]
    for name in (".gitattributes", "Makefile", "manage.py"):
        shutil.copy(ROOT / name, tmp_path)
    for arguments in (["init"], ["add", "."], ["commit", "-m", "a"], ["rm", "-r", "."], ["reset", "--hard"]):
        subprocess.run([*git, *arguments], cwd=tmp_path, check=True, capture_output=True)
    assert not [name for name in ("Makefile", "manage.py") if b"\r" in (tmp_path / name).read_bytes()]


def test_verify_says_when_nothing_runs(tmp_path):
    answer = call(stack_command("--data-dir", str(tmp_path), "verify"))
    assert answer.returncode == 1
    assert answer.stderr.startswith("error: nothing runs on this data folder: start `make run` first")


def test_package_registry_that_does_not_answer_is_told_in_one_line(tmp_path, monkeypatch):
    for name in ("PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(
        StackError, match="the Python package registry did not answer: check the network"
    ) as raised:
        installer.install(["--target", str(tmp_path), "no-such-package-of-ours"], python=sys.executable)
    assert "\n" not in str(raised.value)


def test_installations_stay_in_the_environment_whatever_pip_is_told(monkeypatch):
    for name in ("PIP_USER", "PIP_TARGET", "PYTHONPATH", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, "1")
    env = installer.environment()
    assert not {"PIP_USER", "PIP_TARGET", "PYTHONPATH"} & set(env)
    assert env["PIP_INDEX_URL"] == "1"


def test_uv_is_used_when_it_is_there_and_pip_when_it_fails(tmp_path, monkeypatch, capsys):
    uv = tmp_path / "uv"
    uv.write_text('#!/bin/sh\necho "$@" >> "$0.calls"; echo "error: no index of ours"; exit ${UV_CODE:-0}\n')
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    installer.install(["--help"], python=sys.executable)
    assert (tmp_path / "uv.calls").read_text() == f"pip install --python {sys.executable} --help\n"
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("UV_CODE", "1")
    installer.install(["--help"], python=sys.executable)
    assert capsys.readouterr().err == "packages: uv failed (error: no index of ours), trying pip\n"


def test_environment_in_which_an_installation_was_interrupted_is_made_anew(tmp_path, monkeypatch, capsys):
    venv = tmp_path / ".venv"
    for name, place in {"VENV": venv, "PYTHON": venv / "python", "INSTALLING": venv / "installing"}.items():
        monkeypatch.setattr(packages, name, place)
    monkeypatch.setattr(packages, "_create_venv", (venv / "python").touch)

    def interrupted(arguments, python):
        (venv / "half").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(packages, "install", interrupted)
    with pytest.raises(KeyboardInterrupt):
        packages.ensure("run")
    assert (venv / "half").exists()

    monkeypatch.setattr(packages, "install", lambda arguments, python: None)
    packages.ensure("test")
    assert "the last installation was interrupted, making .venv anew" in capsys.readouterr().err
    assert sorted(path.name for path in venv.iterdir()) == [".scoreboard-run", ".scoreboard-test", "python"]
    packages.ensure("run")
    assert capsys.readouterr().err == ""


def test_cache_folder_can_be_chosen_and_falls_back_to_the_checkout(tmp_path, monkeypatch):
    monkeypatch.setenv("SCOREBOARD_CACHE_DIR", str(tmp_path / "chosen"))
    assert files.cache_folder() == tmp_path / "chosen"
    monkeypatch.delenv("SCOREBOARD_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    assert files.cache_folder() == tmp_path / "user" / "scoreboard"
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(files, "ROOT", tmp_path)
    assert files.cache_folder() == tmp_path / ".cache"


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        ([], False),
        (["--durations=3", "-x"], False),
        (["--ignore=tools/devstack/tests/test_makefile.py"], False),
        (["-k", "machine"], True),
        (["-n", "2"], True),
        (["tools/devstack"], True),
        (["tools/devstack/tests/test_clean.py::test_one"], True),
    ],
)
def test_only_the_whole_suite_runs_on_several_workers(arguments, chosen):
    assert chooses(arguments) is chosen
