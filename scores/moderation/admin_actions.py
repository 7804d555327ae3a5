"""An action that a form asks for: which one it is, what the board would look like after it, doing it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
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

#: How often an action is tried on a player who may score meanwhile.
TRIES = 5

#: A player in a form, as it was rendered: (version, ULID, user id).
Item = tuple[int, str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class FormPage:
    """A form that is shown: for whom, of which version (0: the player's), its ULID ('': a new one).

    `status` is that of the answer, `done` says that nothing is left to show.
    """

    player: Player
    version: int = 0
    ulid: str = ""
    status: int = 200
    done: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "version", self.version or self.player.version)
        object.__setattr__(self, "ulid", self.ulid or str(ULID()))

    @property
    def stale(self) -> bool:
        """Whether the player has changed since the form was rendered."""
        return not self.done and self.version < self.player.version


def attempt(
    scoreboard: Scoreboard, moderator: str, page: FormPage, action: Action, form: ActionForm
) -> FormPage:
    """Do what a valid form asks for; the page after it, with what went wrong in the form."""
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
    """Do what a valid form asks for; the player after it.

    `version` and `ulid` are the form's own, from when it was rendered: the same form sent twice is one
    action, a form changed and sent again is another one. Raises what `moderation.moderate` raises.
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
    """Do it to one of many players; user id, outcome (done, changed, refused, failed) and a sentence."""
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
    """The board now and after the action, or why there is no such board. Raises Unavailable."""
    if not form.is_bound and action in (Action.ADJUST, Action.RENAME):
        return {"preview": None}  # of what?
    form.is_valid()
    now = scoreboard.now_ms()
    changed, forbidden = [], ""
    for player in players:
        try:
            arguments = form.arguments(now) if form.is_bound else {}
            changed.append(moderated(player, action, now, **arguments))
        except KeyError:  # a field is wrong
            return {"preview": None}
        except RuleError as error:
            forbidden = sentence(error)
    if not changed:
        return {"preview": None, "forbidden": forbidden}
    board, after = review.boards(scoreboard, changed=changed)
    lines, lines_after = board_lines(board, after)
    return {"board": lines, "preview": lines_after, "same": board == after}


def rendered_in(version: str, ulid: str) -> tuple[int, str]:
    """(version, ULID) of a form, as it was rendered. Raises BadRequest."""
    if not (version.isascii() and version.isdigit() and len(version) < 16 and ULID_PATTERN.fullmatch(ulid)):
        raise BadRequest
    return int(version), ulid


def item_in(text: str) -> Item:
    """A player in a form for many, `version:ulid:user id`. Raises BadRequest."""
    version, _, rest = text.partition(":")
    ulid, _, user_id = rest.partition(":")
    if not ID_PATTERN.fullmatch(user_id):
        raise BadRequest
    return *rendered_in(version, ulid), user_id
