"""The counts of lost and doubled updates on planted cases; and the pages that commands write into."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tools.faults.traffic.journal import Attempt, Reply
from tools.reporting import pages
from tools.research.rivals import watchers
from tools.research.rivals.faults import INCREMENT, Count
from tools.research.rivals.watchers import LEADER, Watcher


def attempt(name, *statuses):
    replies = [Reply(status, began=n, ended=n + 0.5) for n, status in enumerate(statuses)]
    return Attempt(f"key-{name}", name, INCREMENT, 0.0, replies)


def test_planted_losses_and_doubles_are_counted():
    attempts = [
        attempt("right", 200),
        attempt("repeated", 0, 503, 200),
        attempt("lost", 200),
        attempt("doubled", 0, 200),
        attempt("tripled and never answered", 0, 0),
        attempt("never stored, never answered", 503),
    ]
    stored = {"right": 7, "repeated": 7, "doubled": 14, "tripled and never answered": 21}
    count = Count()
    count.settle(stored, attempts)
    assert (count.sent, count.acknowledged, count.lost, count.doubled) == (6, 4, 1, 2)
    assert (count.requests, count.refused) == (10, 6)
    assert count.slowest_s == 0.5


def test_a_page_is_as_late_as_the_first_board_that_shows_the_score(monkeypatch):
    watcher, clock = Watcher(), iter([1.0, 2.0, 6.0])
    monkeypatch.setattr(watchers, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    for score in (10, 11, 13):
        watcher._see([{"userId": LEADER, "score": score}])
    assert watcher.latest([(0.5, 10), (1.5, 11), (1.8, 12), (5.9, 13)]) == pytest.approx(4.2)
    assert watcher.latest([(0.5, 14)]) == float("inf")
    assert watcher.scores == [13]


def test_a_command_fills_its_part_of_a_page_and_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "DOCS", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- one -->\nold\n<!-- end of one -->\nb\n")
    for _ in range(2):
        pages.fill("page.md", "one", "new")
    assert page.read_text() == "a\n<!-- one -->\n\nnew\n\n<!-- end of one -->\nb\n"
    with pytest.raises(ValueError, match="no part 'two'"):
        pages.fill("page.md", "two", "")
