"""`python -m tools.devstack.install.lock`: writes the lock files, every package with its hashes.

Run it after changing requirements*.txt, with the oldest Python that is supported. Versions that are
locked already stay, unless `--upgrade` is given.
"""

import subprocess
import sys

from tools.devstack.install.files import ROOT

LOCKS = {
    "requirements.txt": "requirements.lock",
    "requirements-dev.txt": "requirements-dev.lock",
    "deploy/requirements.txt": "deploy/requirements.lock",
    "tools/benchmarks/load/requirements.txt": "tools/benchmarks/load/requirements.lock",
}
OPTIONS = [
    "--quiet",
    "--generate-hashes",
    "--allow-unsafe",
    "--strip-extras",
    "--no-annotate",
    "--no-header",
    "--no-emit-index-url",
    "--no-emit-trusted-host",
    "--no-emit-find-links",
]


def main(arguments: list[str]) -> int:
    """Write all lock files; pip-compile's exit code."""
    for source, target in LOCKS.items():
        command = [sys.executable, "-m", "piptools", "compile", *OPTIONS, *arguments]
        done = subprocess.call([*command, "--output-file", target, source], cwd=ROOT)
        if done != 0:
            return done
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
