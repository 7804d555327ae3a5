"""DynamoDB Local, fetched once from the npm registry into the user's cache.

Its licence allows its use but not its distribution, so it is never part of the repository.
"""

import shutil
import tarfile
from pathlib import Path

from tools.devstack.console import say
from tools.devstack.install import npm
from tools.devstack.install.files import cache_folder, made_once

PACKAGE = npm.Package(
    part="dynamodb",
    name="amplify-dynamodb-simulator",
    version="2.9.30",
    sha512="xTeeRLvzEfqyd5lh3bH4c0kHvSHHmmhD5ZDsHFKAQ5g2Zl6JqlFdutaQhCLHzxEp6Ry1o7TB6niIoXuQAnSewQ==",
    megabytes=57,
)
JAR = "DynamoDBLocal.jar"


def dynamodb_folder() -> Path:
    """The folder with DynamoDBLocal.jar, downloaded and unpacked if need be."""
    return made_once(cache_folder() / f"dynamodb-local-{PACKAGE.version}", _fill)


def _fill(work: Path) -> Path:
    _unpack(npm.fetch(PACKAGE, work), work / "unpacked")
    say("dynamodb: unpacked")
    return work / "unpacked"


def _unpack(archive: Path, folder: Path) -> None:
    """Write the files below `package/emulator/` of the archive to `folder`."""
    with tarfile.open(archive) as tar:
        for member in tar:
            place = Path(member.name)
            if not member.isfile() or place.parts[:2] != ("package", "emulator") or ".." in place.parts:
                continue
            target = folder.joinpath(*place.parts[2:])
            target.parent.mkdir(parents=True, exist_ok=True)
            source = tar.extractfile(member)
            if source:
                with source, target.open("wb") as copy:
                    shutil.copyfileobj(source, copy)
