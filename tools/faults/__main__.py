"""`make faults`: runs fault scenarios on real stores and processes, and prints a table of the results."""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
from pathlib import Path

from tools.devstack.console import say
from tools.devstack.errors import StackError


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python3 -m tools faults", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="F…", help="only these scenarios")
    parser.add_argument("--fast", action="store_true", help="as in the test suite: short faults")
    parser.add_argument("--seed", type=int, help="of the chances; printed when it is drawn")
    parser.add_argument("--minutes", type=float, help="only the random mix, for this long")
    parser.add_argument("--keep", type=Path, help="keep journals, logs and the table's files in this folder")
    parser.add_argument("--publish", action="store_true", help="write the results into docs/ as well")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Exit status 1 when an invariant was broken."""
    options = parse(arguments)
    if options.publish and options.fast:
        raise StackError("the page is of the whole suite: --publish goes without --fast")
    with tempfile.TemporaryDirectory(prefix="scoreboard-faults-") as temporary:
        folder = options.keep.absolute() if options.keep else Path(temporary)
        folder.mkdir(exist_ok=True)
        prepare(folder)
        return _perform(folder, options)


def prepare(folder: Path) -> None:
    """Django, for what the stage uses of the product: tokens of a local issuer of this folder's own."""
    import django

    os.environ.update(DEBUG="true", DATA_DIR=str(folder), DJANGO_SETTINGS_MODULE="scoreboard_site.settings")
    django.setup()


def _perform(folder: Path, options: argparse.Namespace) -> int:
    from tools.faults import report, suite
    from tools.faults.checks.result import Result
    from tools.faults.stage import Stage

    known = list(suite.SCENARIOS)
    names = options.only or known
    unknown = [name for name in names if name not in known]
    if unknown:
        raise StackError(f"no such scenario: {', '.join(unknown)} (there are {', '.join(known)})")
    seed = random.randrange(10**6) if options.seed is None else options.seed
    say(f"SEED={seed}")
    results: list[Result] = []
    try:
        with Stage(folder, say=say) as stage:
            if options.minutes:
                results.append(suite.perform_mix(stage, 60 * options.minutes, seed=seed, say=say)[0])
            else:
                scale = suite.FAST if options.fast else 1.0
                results.extend(suite.perform_all(stage, names, say, scale=scale, seed=seed))
    finally:  # also of a suite that was interrupted
        print(report.table(results), flush=True)
        if options.publish:
            report.keep(results, seed)
    return 1 if any(result.violations for result in results) else 0


def _interrupt(number: int, _: object) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        sys.exit(main(sys.argv[1:]))
    except StackError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
