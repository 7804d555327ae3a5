"""`manage.py moderate`, as somebody types it."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from scores.board.tests.test_adding import moderate
from scores.rules.actions import Action
from scores.rules.players import State
from scores.stores import erasure_marks, ledger
from scores.upkeep import rebuild
from tools.testing import stage

pytestmark = pytest.mark.usefixtures("stores")

WHY = "--reason=because"


def run(capsys, *arguments):
    """(exit status, stdout, stderr)."""
    status = 0
    try:
        call_command("moderate", *arguments)
    except SystemExit as exited:
        status = int(exited.code or 0)
    return status, *capsys.readouterr()


@pytest.fixture
def twelve():
    for number in range(12):
        stage.add(f"u{number:02}", 100 + number, "k")
    rebuild.rebuild_ranking(stage.scoreboard())


@pytest.mark.parametrize(
    ("arguments", "before", "state", "score", "name"),
    [
        (["adjust", "u11", "--amount=-50"], None, State.ACTIVE, 61, None),
        (["adjust", "u11", "--amount=5"], None, State.ACTIVE, 116, None),
        (["rename", "u11", "--name", "Bo Derek"], None, State.ACTIVE, 111, "Bo Derek"),
        (["rename", "u11", "--no-name"], (Action.RENAME, {"name": "Bo"}), State.ACTIVE, 111, None),
        (["hide", "u11"], None, State.HIDDEN, 111, None),
        (["unhide", "u11"], (Action.HIDE, {}), State.ACTIVE, 111, None),
        (["ban", "u11"], None, State.BANNED, 111, None),
        (["unban", "u11"], (Action.BAN, {}), State.ACTIVE, 111, None),
        (["erase", "u11", "--yes"], None, State.ERASED, 0, None),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_each_action_is_done_on_record_and_on_the_board(
    twelve, capsys, arguments, before, state, score, name
):
    if before:
        moderate("u11", before[0], **before[1])
    status, out, _ = run(capsys, *arguments, WHY, "--actor=eve")
    player = stage.scoreboard().players.read("u11")
    assert status == 0
    assert (
        out.startswith("u11: done, now ") and f"score {score}" in out and f"version {player.version}" in out
    )
    assert (player.state, player.score, player.name) == (state, score, name)
    (entry,) = [e for e in ledger.read_all("u11") if e.version == player.version]
    assert (entry.kind, entry.actor, entry.reason) == (arguments[0], "eve", "because")
    assert stage.board().rows == stage.true_rows()


def test_ids_may_stand_before_between_and_behind_the_options(twelve, capsys):
    assert run(capsys, "hide", "u01", WHY, "u02", "--actor=eve", "u03")[0] == 0
    assert run(capsys, WHY, "--actor=eve", "hide", "u04")[0] == 0
    hidden = {u for u, p in stage.table().items() if p.state is State.HIDDEN}
    assert hidden == {"u01", "u02", "u03", "u04"}


def test_a_dry_run_shows_player_and_board_and_changes_nothing(twelve, capsys):
    before = stage.table()
    status, out, _ = run(capsys, "ban", "u11", WHY, "--dry-run", "--for=7d")
    assert status == 0
    assert "u11: nothing is changed (dry run)" in out
    assert "now    active, score 111, no name, version 1" in out
    assert "after  banned until 2" in out
    lines = [line.split() for line in out.splitlines()]
    assert ["1", "110", "u10", "was", "2"] in lines
    assert ["10", "101", "u01", "new"] in lines
    assert stage.table() == before
    assert len(ledger.read_all("u11")) == 1


def test_a_dry_run_of_what_is_not_possible_fails_as_the_action_would(twelve, capsys):
    assert run(capsys, "unban", "u11", WHY, "--dry-run")[::2] == (
        1,
        "u11: not done: cannot unban a player who is active\n",
    )
    assert run(capsys, "hide", "u11", WHY, "--dry-run", "--expect-version=7")[0] == 1
    assert run(capsys, "adjust", "u00", WHY, "--dry-run", "--amount=1")[1].count("board stays") == 1


def test_an_expected_version_protects_what_was_looked_at(twelve, capsys):
    stage.add("u11", 1)
    status, _, err = run(capsys, "hide", "u11", WHY, "--expect-version=1")
    assert (status, err) == (1, "u11: not done: The player has changed meanwhile.\n")
    assert stage.scoreboard().players.read("u11").state is State.ACTIVE
    assert run(capsys, "hide", "u11", WHY, "--expect-version=2")[0] == 0


def test_the_same_entry_id_is_one_action(twelve, capsys):
    for _ in range(2):
        assert run(capsys, "adjust", "u11", "--amount=5", WHY, "--entry-id=MOD#once")[0] == 0
    assert stage.scoreboard().players.read("u11").score == 116
    status, _, err = run(capsys, "adjust", "u11", "--amount=6", WHY, "--entry-id=MOD#once")
    assert (status, stage.scoreboard().players.read("u11").score) == (1, 116)
    assert "belongs to another action" in err


def test_many_players_each_get_a_result_and_one_refusal_does_not_stop_the_rest(twelve, capsys, tmp_path):
    moderate("u05", Action.HIDE)
    (tmp_path / "ids").write_text("u05\nu06\n\nu11\n")
    status, out, err = run(capsys, "hide", "u11", "--ids-from", str(tmp_path / "ids"), WHY)
    assert status == 1
    assert [line.split(":")[0] for line in out.splitlines()] == ["u11", "u06"]
    assert "u05: not done: cannot hide a player who is hidden" in err
    assert "3 of 3" in err
    assert {u for u, p in stage.table().items() if p.state is State.HIDDEN} == {"u05", "u06", "u11"}


def test_erasing_sweeps_the_ledger_and_asks_to_be_sure(twelve, capsys):
    moderate("u11", Action.RENAME, name="Bo Derek")
    with pytest.raises(CommandError, match="then add --yes"):
        call_command("moderate", "erase", "u11", WHY)
    assert stage.scoreboard().players.read("u11").score == 111
    status, _, err = run(capsys, "erase", "u11", WHY, "--yes")
    assert status == 0 and "u11: 2 entries swept" in err
    assert "Bo Derek" not in repr(ledger.read_all("u11"))
    assert erasure_marks.marks(1) == []


def test_a_ban_that_would_have_ended_and_an_unknown_player_are_refused(twelve, capsys):
    assert run(capsys, "ban", "u11", WHY, "--until=2020-01-01")[::2] == (
        1,
        "u11: not done: a ban must end in the future\n",
    )
    assert run(capsys, "ban", "nobody", WHY)[::2] == (
        1,
        "nobody: not done: There is no player with this id.\n",
    )
