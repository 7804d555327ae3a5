"""What moderators read, from the real stores: pages, queues, searches, a long ledger, the board after."""

from __future__ import annotations

import pytest

from scores.board import adding
from scores.moderation import activity, moderating, review
from scores.rules import audit_trail
from scores.rules.actions import Action, moderated
from scores.rules.players import State
from scores.rules.tickets import Ticket
from scores.stores import cache
from scores.stores.cache import RankingUnavailable
from scores.upkeep import rebuild
from tools.testing import stage


@pytest.fixture
def twelve(stores):
    """USER-1 leads with 120 points, USER-12 has 10."""
    for place in range(1, 13):
        stage.add(f"USER-{place}", 10 * (13 - place))
    rebuild.rebuild_ranking(stage.scoreboard(), full=True)


def moderate(user_id, action, **arguments):
    player = stage.scoreboard().players.read(user_id)
    return moderating.moderate(
        stage.scoreboard(),
        user_id=user_id,
        action=action,
        actor="staff:rob",
        reason="a test",
        expected_version=player.version,
        **arguments,
    )


def ids(listed):
    return [player.user_id for player in listed.players]


def away(*args, **kwargs):
    raise RankingUnavailable


def test_pages_by_rank_go_on_where_the_last_one_ended(twelve, monkeypatch):
    monkeypatch.setattr(review, "PAGE", 5)
    pages = [review.ranked(stage.scoreboard(), page=page) for page in (1, 2, 3, 4)]
    assert [user_id for page in pages for user_id in ids(page)] == [f"USER-{n}" for n in range(1, 13)]
    assert [page.first_rank for page in pages] == [1, 6, 11, 16]
    assert [page.next_place for page in pages] == ["2", "3", None, None]
    assert {page.total for page in pages} == {12}


def test_without_the_ranking_the_best_of_the_table_are_shown_and_it_says_so(twelve, monkeypatch):
    monkeypatch.setattr(cache.Cache, "guarded", away)
    listed = review.ranked(stage.scoreboard(), page=1)
    assert ids(listed)[:2] == ["USER-1", "USER-2"] and "The ranking is away" in str(listed.notice)
    assert "only the user id" in str(review.find(stage.scoreboard(), text="USER-3").notice)
    now, after = review.boards(stage.scoreboard(), changed=[])
    assert now == after and len(now) == 10


def test_queues_are_paged_by_when_they_end(twelve, monkeypatch):
    monkeypatch.setattr(review, "PAGE", 2)
    future = audit_trail.MAX_UNTIL - 10
    for number, until in ((1, future + 3), (2, future + 1), (3, None), (4, future + 2)):
        moderate(f"USER-{number}", Action.BAN, until=until)
    first = review.queue(stage.scoreboard(), state=State.BANNED)
    second = review.queue(stage.scoreboard(), state=State.BANNED, after=str(first.next_place))
    assert (ids(first), ids(second)) == (["USER-2", "USER-4"], ["USER-1", "USER-3"])
    assert ids(review.queue(stage.scoreboard(), state=State.BANNED, after=str(second.next_place))) == []
    moderate("USER-5", Action.HIDE)
    assert review.queue_sizes(stage.scoreboard()) == {
        State.HELD: 0,
        State.HIDDEN: 1,
        State.BANNED: 4,
        State.ERASED: 0,
    }


def test_a_player_is_found_by_id_and_by_any_part_of_the_name(twelve, monkeypatch):
    for number, name in ((3, "Zoë Müller"), (4, "müllerin"), (5, "USER-9")):
        moderate(f"USER-{number}", Action.RENAME, name=name)
    moderate("USER-4", Action.HIDE)
    assert ids(review.find(stage.scoreboard(), text="MULLER")) == ["USER-3", "USER-4"]
    assert ids(review.find(stage.scoreboard(), text="USER-9")) == ["USER-9", "USER-5"]
    assert ids(review.find(stage.scoreboard(), text="nobody at all")) == []
    monkeypatch.setattr(review, "PAGE", 1)
    assert "There may be more" in str(review.find(stage.scoreboard(), text="müller").notice)


def test_a_long_ledger_is_cut_and_says_so_but_keeps_its_moderations(twelve, monkeypatch):
    monkeypatch.setattr(review, "MOST_ENTRIES", 5)
    for number in range(5):
        stage.add("USER-1", 1, key=f"A-{number}")
    moderate("USER-1", Action.RENAME, name="Ann")
    case = review.case(stage.scoreboard(), user_id="USER-1")
    assert case is not None and case.cut
    assert [entry.kind for entry in case.moderations] == ["rename"]
    versions = [entry.version for entry in case.entries]
    assert versions == sorted(versions, reverse=True) and len(versions) == 6
    short = review.case(stage.scoreboard(), user_id="USER-2")
    assert short is not None and not short.cut and (short.rank, short.total) == (2, 12)
    assert review.case(stage.scoreboard(), user_id="nobody") is None


def test_the_ledger_tells_points_of_tickets_from_plain_increments(stores):
    ticket = Ticket("ann", 7, "jti-1", stage.scoreboard().now_ms() // 1000 + 60)
    adding.add_points(
        stage.scoreboard(), user_id="ann", increment=7, key="jti-1", caller=stage.player("ann"), ticket=ticket
    )
    stage.add("ann", 3)
    case = review.case(stage.scoreboard(), user_id="ann")
    assert case is not None
    found = activity.signals(case.entries, stage.scoreboard().now_ms())
    assert (found.ticket_points, found.plain_points, found.last_minute) == (7, 3, 2)


def test_what_was_entered_since_is_told_oldest_first(twelve):
    stage.add("USER-1", 1)
    moderate("USER-1", Action.HIDE)
    assert [entry.kind for entry in review.since(stage.scoreboard(), user_id="USER-1", version=1)] == [
        "update",
        "hide",
    ]


def test_the_board_after_lets_the_next_ones_move_up(twelve):
    banned = [
        moderated(player, Action.BAN, 1)
        for player in review.players(stage.scoreboard(), [f"USER-{n}" for n in (1, 2, 3)])
    ]
    now, after = review.boards(stage.scoreboard(), changed=banned)
    assert [row.user_id for row in now] == [f"USER-{n}" for n in range(1, 11)]
    assert [row.user_id for row in after] == [f"USER-{n}" for n in range(4, 13)]
    assert [row.rank for row in after] == list(range(1, 10))
