"""`manage.py moderate`: the moderation actions, for scripts and emergencies."""

from __future__ import annotations

import getpass
import os
from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    DjangoHelpFormatter,
)

from scores.board.scoreboard import get_scoreboard
from scores.management.arguments import duration, instant
from scores.moderation import moderating, review
from scores.moderation.requests import checked_request
from scores.rules import audit_trail
from scores.rules.actions import Action
from scores.rules.boards import Row
from scores.rules.errors import Invalid, OutcomeUnknown, ScoreboardError, Unavailable, VersionMoved
from scores.rules.players import Player
from scores.upkeep import erasures

REFUSED, USAGE, AWAY = 1, 2, 3

HELP = """Adjust, rename, hide, unhide, ban, unban or erase players. Each action is one entry of the ledger.

  moderate ban ann --reason "bought points" --for 7d
  moderate adjust ann --amount -250 --reason "double event" --dry-run
  moderate hide ann bob carl --reason "under review"
  moderate ban --ids-from cheaters.txt --reason "botnet of May"
  moderate rename ann --no-name --reason "insulting"
  moderate erase ann --reason "asked for it in ticket 4711" --yes"""
EPILOG = """Put an id that begins with - behind -- at the end: moderate ban --reason "bot" -- -ann
Without --expect-version the action applies to the current version of the player.

exit status: 0 done (or possible, with --dry-run); 1 refused for at least one player, who is unchanged;
2 wrong usage, nothing done; 3 a store did not answer for at least one player, run the command again."""


class _Formatter(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """Keeps the line breaks of the examples."""


class Command(BaseCommand):
    help = HELP

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs |= {"formatter_class": _Formatter, "epilog": EPILOG}
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        # Ids can be before, between and behind the options.
        parser.parse_args = parser.parse_intermixed_args  # type: ignore[method-assign]
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=[action.value for action in Action])
        parser.add_argument("user_ids", nargs="*", metavar="USER_ID")
        parser.add_argument("--ids-from", metavar="FILE", help="a file with one user id a line; - is stdin")
        parser.add_argument("--reason", required=True, help="the reason; it is kept with the action")
        parser.add_argument(
            "--amount", type=int, default=0, help="adjust: points to add; a negative number takes points away"
        )
        parser.add_argument("--name", help="rename: the new name")
        parser.add_argument("--no-name", action="store_true", help="rename: remove the name")
        end = parser.add_mutually_exclusive_group()
        end.add_argument(
            "--until",
            type=instant,
            metavar="TIME",
            help="ban: the end, 2030-01-31 or 2030-01-31T18:00+01:00 (UTC unless it has an offset)",
        )
        end.add_argument(
            "--for",
            type=duration,
            dest="lasting",
            metavar="TIME",
            help="ban: the duration, 30m, 12h, 7d or 4w; a ban without an end does not end",
        )
        parser.add_argument(
            "--expect-version",
            type=int,
            metavar="N",
            help="act only if the player still has this version (a dry run shows it)",
        )
        parser.add_argument(
            "--entry-id",
            metavar="MOD#…",
            help="the id of an action with an unknown outcome, so that it is done once",
        )
        parser.add_argument("--actor", help="the recorded actor (default: shell: and the system's user)")
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="show the player and the board before and after, and change nothing",
        )
        parser.add_argument(
            "--yes", action="store_true", help="erase: confirm it, because it cannot be undone"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        user_ids = _user_ids(options)
        change = _change(options, get_scoreboard().now_ms())
        who_and_why = {"actor": options["actor"] or _login(), "reason": options["reason"]}
        try:  # all orders, before the first action
            for user_id in user_ids:
                checked_request(user_id=user_id, entry_id=options["entry_id"], **who_and_why, **change)
        except Invalid as error:
            raise CommandError(f"{user_id}: {error}", returncode=USAGE) from error
        status = 0
        for number, user_id in enumerate(user_ids, start=1):
            try:
                if options["dry_run"]:
                    self._look(user_id, options["expect_version"], change)
                else:
                    self._act(user_id, options, who_and_why | change)
            except ScoreboardError as error:
                status = max(status, AWAY if isinstance(error, Unavailable) else REFUSED)
                self.stderr.write(
                    f"{user_id}: {'' if isinstance(error, OutcomeUnknown) else 'not done: '}{error}"
                )
            if len(user_ids) > 1:
                self.stderr.write(f"{number} of {len(user_ids)}")
        if change["action"] is Action.ERASE and not options["dry_run"]:
            self._sweep()
        if status:
            raise SystemExit(status)

    def _act(self, user_id: str, options: dict[str, Any], order: dict[str, Any]) -> None:
        player = moderating.moderate(
            get_scoreboard(),
            user_id=user_id,
            expected_version=options["expect_version"],
            entry_id=options["entry_id"],
            **order,
        )
        self.stdout.write(f"{user_id}: done, now {_described(player)}")

    def _look(self, user_id: str, expected_version: int | None, change: dict[str, Any]) -> None:
        seen = review.preview(get_scoreboard(), user_id=user_id, **change)
        if expected_version not in (None, seen.before.version):
            raise VersionMoved
        self.stdout.write(f"{user_id}: nothing is changed (dry run)")
        self.stdout.write(f"  now    {_described(seen.before)}")
        self.stdout.write(f"  after  {_described(seen.after)}")
        for line in _board(seen.rows_before, seen.rows_after):
            self.stdout.write(line)

    def _sweep(self) -> None:
        try:
            erasures.sweep_erased(
                get_scoreboard(),
                progress=lambda user_id, seen: self.stderr.write(f"{user_id}: {seen} entries swept"),
            )
        except ScoreboardError as error:
            self.stderr.write(f"a server, or finish_erasures, will finish the ledger: {error}")


def _login() -> str:
    try:
        return f"shell:{getpass.getuser()}"
    except (KeyError, OSError):  # a container whose user has no name
        return f"shell:{os.getuid()}"


def _user_ids(options: dict[str, Any]) -> list[str]:
    user_ids = list(options["user_ids"])
    if options["ids_from"]:
        try:
            path = "/dev/stdin" if options["ids_from"] == "-" else options["ids_from"]
            user_ids += Path(path).read_text().split()
        except (OSError, UnicodeError) as error:
            raise CommandError(f"--ids-from: {error}", returncode=USAGE) from error
    user_ids = list(dict.fromkeys(user_ids))
    if not user_ids:
        raise CommandError("say which players: user ids, or --ids-from FILE", returncode=USAGE)
    for name in ("expect_version", "entry_id"):
        if len(user_ids) > 1 and options[name] is not None:
            raise CommandError(f"--{name.replace('_', '-')} is for one player", returncode=USAGE)
    return user_ids


def _change(options: dict[str, Any], now: int) -> dict[str, Any]:
    """The arguments that are the same for all players. Raises CommandError."""
    action = Action(options["action"])
    if action is Action.RENAME and (options["name"] is None) != options["no_name"]:
        raise CommandError("rename needs --name or --no-name", returncode=USAGE)
    if action is not Action.RENAME and options["no_name"]:
        raise CommandError("--no-name is for rename", returncode=USAGE)
    if action is Action.ERASE and not options["yes"] and not options["dry_run"]:
        raise CommandError(
            "erasing cannot be undone: check it with --dry-run, then add --yes", returncode=USAGE
        )
    until = options["until"] if options["lasting"] is None else now + options["lasting"]
    return {"action": action, "amount": options["amount"], "name": options["name"], "until": until}


def _described(player: Player) -> str:
    name = "no name" if player.name is None else repr(player.name)
    state = player.state.value
    if player.banned_until is not None:
        state += f" until {audit_trail.iso(player.banned_until)}"
    return f"{state}, score {player.score:,}, {name}, version {player.version}"


def _board(before: tuple[Row, ...], after: tuple[Row, ...]) -> list[str]:
    if before == after:
        return ["  the board stays as it is"]
    old = {row.user_id: row for row in before}
    lines = ["  the board after it:"]
    for row in after:
        previous = old.get(row.user_id)
        mark = "  new" if previous is None else "" if previous.rank == row.rank else f"  was {previous.rank}"
        name = "" if row.name is None else f"  {row.name}"
        lines.append(f"  {row.rank:>4}  {row.score:>20,}  {row.user_id}{name}{mark}")
    return lines if after else [*lines, "    nobody"]
