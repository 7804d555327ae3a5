"""How many files, and so connections, a process may have open."""

import contextlib
import math
import resource

#: macOS reports no hard limit but refuses to lift the soft one without end; it allows at least this many.
_AT_LEAST = 10_240


def raise_file_limit() -> float:
    """Raise this process's limit of open files as far as allowed. The new limit; math.inf: none."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (hard, max(soft, _AT_LEAST)):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            break
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return math.inf if soft == resource.RLIM_INFINITY else soft
