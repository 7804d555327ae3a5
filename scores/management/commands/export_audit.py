"""`manage.py export_audit`: the moderation entries of the ledger as JSON lines."""

from __future__ import annotations

import json
import time
from io import SEEK_END
from pathlib import Path
from typing import IO, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from scores.management.arguments import instant
from scores.rules import audit_trail
from scores.rules.actions import Action
from scores.rules.errors import ScoreboardError
from scores.rules.players import MAX_MS, id_problem
from scores.stores import ledger

PROGRESS_EVERY_S = 2.0
_LAST_LINES_BYTES = 65_536


class Command(BaseCommand):
    help = (
        "Write the moderation entries of the ledger as JSON lines, one entry each, in the table's order "
        "(sort them by `at`). The export has no updates. It has the names that players chose, with the "
        "player as the actor. Progress goes to stderr. --resume continues an interrupted export to a file."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        when = "2030-01-31 or 2030-01-31T18:00+01:00; UTC unless said"
        parser.add_argument(
            "--since", type=instant, default=0, metavar="TIME", help=f"only entries from this time on: {when}"
        )
        parser.add_argument(
            "--until", type=instant, default=MAX_MS, metavar="TIME", help="only entries before this time"
        )
        parser.add_argument("--actor", help="only entries of this actor")
        parser.add_argument("--user", metavar="USER_ID", help="only entries about this player; fast")
        parser.add_argument(
            "--action",
            action="append",
            choices=[action.value for action in Action],
            help="only this action; can be given more than once",
        )
        parser.add_argument("--output", type=Path, metavar="FILE", help="a new file (default: stdout)")
        parser.add_argument(
            "--resume", action="store_true", help="continue an interrupted export to --output"
        )
        parser.add_argument(
            "--pace",
            type=int,
            metavar="N",
            help="read at most about this many entries a second (default: no limit)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["resume"] and options["output"] is None:
            raise CommandError("--resume needs --output", returncode=2)
        if options["user"] is not None and (rule := id_problem(options["user"])):
            raise CommandError(f"--user must be {rule}", returncode=2)
        if options["pace"] is not None and options["pace"] < 1:
            raise CommandError("--pace must be at least 1", returncode=2)
        try:
            if options["output"] is None:
                self._export(self.stdout, None, options)
            else:
                file, after = _open(options["output"], options["resume"])
                with file:
                    self._export(file, after, options)
        except ScoreboardError as error:
            hint = "" if options["output"] is None else " Continue with --resume."
            raise CommandError(f"DynamoDB: {error}{hint}", returncode=3) from error
        except BrokenPipeError:  # manage.py ends quietly when the reader of the output is gone
            raise
        except OSError as error:
            raise CommandError(str(error), returncode=2) from error

    def _export(self, file: Any, after: tuple[str, str] | None, options: dict[str, Any]) -> None:
        actions = options["action"] or [action.value for action in Action]
        pace: int | None = options["pace"]
        started = told = time.monotonic()
        looked_at = written = 0
        for looked_at, entries in ledger.scan_moderations(
            since=options["since"],
            until=options["until"],
            actor=options["actor"],
            user_id=options["user"],
            after=after,
            page_size=1000 if pace is None else min(pace, 1000),
        ):
            for entry in entries:
                if entry.kind in actions:
                    file.write(json.dumps(audit_trail.audit_line(entry), ensure_ascii=False) + "\n")
                    written += 1
            file.flush()
            if time.monotonic() - told > PROGRESS_EVERY_S:
                told = time.monotonic()
                self.stderr.write(f"{looked_at} entries looked at, {written} written")
            if pace:
                time.sleep(max(0.0, looked_at / pace - (time.monotonic() - started)))
        self.stderr.write(f"done: {looked_at} entries looked at, {written} written")


def _open(path: Path, resume: bool) -> tuple[IO[str], tuple[str, str] | None]:
    """The file to write to, and the (user id, entry id) of the last whole line in it, if any."""
    if not resume:
        try:
            return path.open("x", encoding="utf-8"), None
        except FileExistsError:
            raise CommandError(f"{path} is there already; --resume continues it", returncode=2) from None
    with path.open("r+b") as file:
        start = max(0, file.seek(0, SEEK_END) - _LAST_LINES_BYTES)
        file.seek(start)
        lines = file.read()
        whole = lines[: lines.rfind(b"\n") + 1]
        after = _position(path, whole.splitlines()[-1]) if whole else None
        file.truncate(start + len(whole))  # without the line that was being written
    return path.open("a", encoding="utf-8"), after


def _position(path: Path, line: bytes) -> tuple[str, str]:
    try:
        values = json.loads(line)
        return values["userId"], values["entryId"]
    except (ValueError, KeyError, TypeError):
        raise CommandError(f"{path} does not end like an export", returncode=2) from None
