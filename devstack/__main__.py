"""The commands of the stack without make: `python3 -m devstack run|test|lint|token|verify|exec|clean`.

Runs on any Python 3 far enough to say which one is needed, prepares `.venv`, and goes on in it.
"""

import os
import sys

MINIMUM = (3, 11)


def main():  # type: () -> int
    if sys.version_info < MINIMUM:
        found = ".".join(str(number) for number in sys.version_info[:2])
        sys.stderr.write(
            "error: Python 3.11 or newer is needed, this is " + found + ": try PYTHON=python3.12\n"
        )
        return 2
    from devstack import cli

    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    # A terminal that went away must not turn an orderly end into a traceback.
    code = main()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
