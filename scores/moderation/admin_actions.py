"""Carries out the action of a form, and previews the board after it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from typing import Any

from django.core.exceptions import BadRequest
from ulid import ULID

from scores.board.scoreboard import Scoreboard
from scores.moderation import moderating, review
from scores.moderation.admin_forms import ULID_PATTERN, ActionForm
from scores.moderation.admin_presentation import board_lines, done, sentence
from scores.rules.actions import Action, moderated
from scores.rules.errors import Invalid, Refused, ScoreboardError, VersionMoved
from scores.rules.players import ID_PATTERN, Player, RuleError

#: Tries of an action on a player who may score at the same time.
TRIES = 5

#: A player in a form for many: (version, ULID, user id), as rendered.
Item = tuple[int, str, str]

_VERSION = re.compile(r"[1-9][0-9]{0,14}")


@dataclasses.dataclass(frozen=True, slots=True)
class FormPage:
    """A form for `player`, rendered from `version` (-1: the player's) with `ulid` ('': a new one).

    `status` is the status of the answer. `done` is set when the action is done and no form is shown.
    """

    player: Player
    version: int = -1
    ulid: str = ""
    status: int = 200
    done: bool = False

    def __post_init__(self) -> None:
        if self.version < 0:
            object.__setattr__(self, "version", self.player.version)
        object.__setattr__(self, "ulid", self.ulid or str(ULID()))

    @property
    def stale(self) -> bool:
        """Whether the player has changed since the form was rendered."""
        return not self.done and self.version < self.player.version


def attempt(
    scoreboard: Scoreboard, moderator: str, page: FormPage, action: Action, form: ActionForm
) -> FormPage:
    """Carry out the action of a valid form. Returns the next page; problems are added to the form."""
    user_id = page.player.user_id
    try:
        player = act(scoreboard, moderator, user_id, action, form, page.version, page.ulid)
    except VersionMoved as moved:
        return dataclasses.replace(page, player=scoreboard.players.read(user_id), status=moved.status)
    except (Invalid, Refused) as error:
        form.add_error(None, sentence(error))
        return dataclasses.replace(page, status=error.status)
    except ScoreboardError as error:
        form.add_error(None, f"{error} Send the form again: it will count once.")
        return dataclasses.replace(page, status=error.status)
    return dataclasses.replace(page, player=player, done=True)


def act(
    scoreboard: Scoreboard,
    moderator: str,
    user_id: str,
    action: Action,
    form: ActionForm,
    version: int,
    ulid: str,
) -> Player:
    """Carry out the action of a valid form. Returns the player after it.

    `version` and `ulid` were rendered into the form. The same form sent twice is one action; a form that was
    changed before it was sent again is another one. Raises the errors of `moderating.moderate`.
    """
    content = json.dumps([ulid, user_id, action, form.cleaned_data], default=str, sort_keys=True)
    made_of = ULID.from_str(ulid).bytes[:6] + hashlib.sha256(content.encode()).digest()[:10]
    meanwhile = form.cleaned_data.get("meanwhile", False)
    for tries_left in reversed(range(TRIES if meanwhile else 1)):
        expected = (
            review.version_after_updates(scoreboard, user_id=user_id, version=version)
            if meanwhile
            else version
        )
        try:
            return moderating.moderate(
                scoreboard,
                user_id=user_id,
                action=action,
                actor=f"staff:{moderator}",
                reason=form.cleaned_data["reason"],
                expected_version=expected,
                entry_id=f"MOD#{ULID.from_bytes(made_of)}",
                **form.arguments(scoreboard.now_ms()),
            )
        except VersionMoved:
            if not tries_left:
                raise
    raise AssertionError("unreachable")


def result(
    scoreboard: Scoreboard, moderator: str, action: Action, form: ActionForm, item: Item
) -> dict[str, str]:
    """Act on one of many players. Returns user id, outcome and a sentence."""
    version, ulid, user_id = item
    outcome = {"userId": user_id}
    try:
        player = act(scoreboard, moderator, user_id, action, form, version, ulid)
    except VersionMoved:
        return outcome | {"outcome": "changed", "text": "Has changed since you looked; nothing was done."}
    except (Invalid, Refused) as error:
        return outcome | {"outcome": "refused", "text": sentence(error)}
    except ScoreboardError as error:
        return outcome | {"outcome": "failed", "text": str(error)}
    return outcome | {"outcome": "done", "text": done(action, player)}


def preview(
    scoreboard: Scoreboard, players: list[Player], action: Action, form: ActionForm
) -> dict[str, Any]:
    """The board now and after the action, or the rule that forbids the action. Raises Unavailable."""
    if not form.is_bound and action in (Action.ADJUST, Action.RENAME):
        return {"preview": None}  # the form has no values yet
    form.is_valid()
    now = scoreboard.now_ms()
    changed, forbidden = [], ""
    for player in players:
        try:
            arguments = form.arguments(now) if form.is_bound else {}
            changed.append(moderated(player, action, now, **arguments))
        except KeyError:  # a field is not valid
            return {"preview": None}
        except RuleError as error:
            forbidden = sentence(error)
    if not changed:
        return {"preview": None, "forbidden": forbidden}
    board, after = review.boards(scoreboard, changed=changed)
    lines, lines_after = board_lines(board, after)
    return {"board": lines, "preview": lines_after, "same": board == after}


def rendered_in(version: str, ulid: str) -> tuple[int, str]:
    """The version (at least 1) and the ULID that were rendered into a form. Raises BadRequest."""
    if not (_VERSION.fullmatch(version) and ULID_PATTERN.fullmatch(ulid)):
        raise BadRequest
    return int(version), ulid


def item_in(text: str) -> Item:
    """A player in a form for many, `version:ulid:user id`. Raises BadRequest."""
    version, _, rest = text.partition(":")
    ulid, _, user_id = rest.partition(":")
    if not ID_PATTERN.fullmatch(user_id):
        raise BadRequest
    return *rendered_in(version, ulid), user_id
