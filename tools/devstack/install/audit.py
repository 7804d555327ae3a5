"""`make audit`: looks up every locked package in the database of known vulnerabilities.

Arguments go to pip-audit, to ask another service for instance. A package that the service does not know
fails the audit as a finding does: what cannot be looked up has not been audited.
"""

import subprocess
import sys

from tools.devstack.console import say
from tools.devstack.install.files import ROOT
from tools.devstack.install.lock import LOCKS


def main(arguments: list[str]) -> int:
    """Audit all lock files; 0 when nothing is known against any of their packages."""
    failed = False
    for lock in LOCKS.values():
        say(f"audit: {lock}")
        options = ["--strict", "--disable-pip", "--progress-spinner=off", "--requirement", lock]
        failed |= subprocess.call([sys.executable, "-m", "pip_audit", *options, *arguments], cwd=ROOT) != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
