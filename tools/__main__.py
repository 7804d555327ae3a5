"""The commands of the stack without make: `python3 -m tools run|test|lint|token|verify|exec|clean`.

Any Python 3 can run this file and is told which version is needed. The rest runs in `.venv`.
"""

import importlib.util
import os
import sys

MINIMUM = (3, 11)


def obstacle():  # type: () -> str
    """Why the stack cannot run here; empty when it can."""
    if sys.version_info < MINIMUM:
        found = ".".join(str(number) for number in sys.version_info[:2])
        return "Python 3.11 or newer is needed, this is " + found + ": try PYTHON=python3.12"
    if importlib.util.find_spec("fcntl") is None:
        supported = ": the stack runs on Linux and macOS (on Windows use WSL 2)"
        return "unsupported platform " + sys.platform + supported
    return ""


def main():  # type: () -> int
    why_not = obstacle()
    if why_not:
        sys.stderr.write("error: " + why_not + "\n")
        return 2
    from tools.devstack import cli

    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    # A closed terminal must not turn a normal exit into a traceback.
    code = main()
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
