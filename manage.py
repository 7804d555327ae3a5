#!/usr/bin/env python
"""Django's command line: `python manage.py help`."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

#: What a shell reports of a program that was ended by SIGPIPE.
READER_GONE = 128 + 13


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scoreboard_site.settings")
    try:
        execute_from_command_line(sys.argv)
        sys.stdout.flush()
    except ImproperlyConfigured as error:  # a mistake in the environment is a line, not a traceback
        sys.exit(f"error: {error}")
    except BrokenPipeError:  # the reader of the output, such as `head`, has read enough
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())  # Python flushes them once more at its end
        sys.exit(READER_GONE)


if __name__ == "__main__":
    main()
