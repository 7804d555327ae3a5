"""Names: who may set them, what they may be, and that none of them is more than text."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from playwright.sync_api import expect

from tools.testing.browser import Site, Visitor, running_site
from tools.testing.pages import rows

PAYLOADS = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<ScRiPt src=//x.example/x.js></ScRiPt>",
    "<img src=x onerror=alert(1)>",
    "<img/src=x/onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x>",
    "<iframe src=javascript:alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<object data=javascript:alert(1)>",
    "<embed src=javascript:alert(1)>",
    "<a href=javascript:alert(1)>x</a>",
    "<body onload=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)>",
    "<marquee onstart=alert(1)>",
    "<style>*{display:none}</style>",
    "<link rel=stylesheet href=//x.example/x.css>",
    "<meta http-equiv=refresh content='0;url=//x.example'>",
    "<base href=//x.example/>",
    "<form action=//x.example><button>x",
    "<math><mi xlink:href=javascript:alert(1)>x",
    "<template><script>alert(1)</script></template>",
    "</td></tr></table><h1>x</h1>",
    "</bdi></th><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "--><script>alert(1)</script><!--",
    "]]><script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "' onmouseover='alert(1)",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "{{ settings.SECRET_KEY }}",
    "{% debug %}",
    "${alert(1)}`${alert(1)}`",
    "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
]


def store_name(user_id: str, name: str) -> None:
    """Put a name into the table past all validation, as a careless import would."""
    from scores.board import merging
    from scores.rules.commits import Commit
    from scores.rules.entries import Entry
    from tools.testing import stage

    def store() -> None:
        player = stage.scoreboard().players.read(user_id)
        assert player.version
        named = dataclasses.replace(player, name=name, version=player.version + 1)
        entry = Entry(
            user_id,
            f"MOD#{named.version}",
            "rename",
            increment=0,
            new_score=named.score,
            version=named.version,
            at=player.reached_at,
            previous_at=player.reached_at,
            actor="import",
        )
        stage.scoreboard().players.commit(Commit(entry, named, player, player.reached_at), floor=0)
        merging.merge(stage.scoreboard(), [named])

    with ThreadPoolExecutor(1) as pool:  # Playwright occupies the loop of this thread
        pool.submit(store).result()


def test_no_name_is_ever_more_than_text(site: Site, visitor: Visitor):
    for place in range(10):
        site.add(f"USER-{place}", 100 - place)
    page = visitor.open(site.url)
    count = "document.querySelectorAll('*').length"
    nodes = page.evaluate(count)
    for start in range(0, len(PAYLOADS), 10):
        names = PAYLOADS[start : start + 10]
        for place, name in enumerate(names):
            store_name(f"USER-{place}", name)
        expect(rows(page).locator(".name")).to_have_text(names, use_inner_text=False)
        assert rows(page).locator(".name").all_text_contents() == names
        assert page.evaluate(count) == nodes
        page.reload()
        assert rows(page).locator(".name").all_text_contents() == names
        assert page.evaluate(count) == nodes
        rows(page).first.locator(".name").hover()
        expect(page.get_by_role("status")).to_have_text("Live")
    assert not [url for url in visitor.requests if "x.example" in url]
    # No dialog and no report of the content security policy: `visitor` heard no complaint.


def test_a_player_names_himself_and_open_pages_show_it(site: Site, visitor: Visitor):
    site.add("ann", 10)
    page = visitor.open(site.url)
    name = rows(page).first.locator(".name")
    expect(name).to_have_text("Player ann")
    answer = site.rename("ann", "  Zoë  B ")
    assert (answer.status_code, answer.json()) == (200, {"userId": "ann", "name": "Zoë B"})
    assert answer.headers["Cache-Control"] == "private, no-store"
    expect(name).to_have_text("Zoë B")
    assert site.rename("ann", None).json() == {"userId": "ann", "name": None}
    expect(name).to_have_text("Player ann")
    site.add("ann", 5)
    assert site.call("GET", "score/top10").json() == [{"rank": 1, "userId": "ann", "name": None, "score": 15}]


@pytest.fixture(scope="module")
def api(running_stores: None) -> Iterator[Site]:
    """One server for the tests below; each has a player of its own."""
    from tools.testing import stage

    stage.reset()
    with running_site() as site:
        yield site


NO_NAMES: list[Any] = [
    {},
    {"name": 7},
    {"name": True},
    {"name": ["x"]},
    {"name": ""},
    {"name": "x" * 33},
    {"name": "a\u202eb"},
    {"name": "Admin"},
    {"name": "x", "userId": "bob"},
    [],
]


def test_what_is_no_name_changes_nothing(api: Site):
    api.add("zoe", 10)
    assert api.rename("zoe", "Zoë").status_code == 200
    for body in NO_NAMES:
        answer = api.call("PUT", "score/me/name", body, "zoe")
        assert answer.status_code == 400, body
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] == "invalid"
    assert api.call("GET", "score/top10").json()[0]["name"] == "Zoë"


def test_a_name_needs_a_token_and_the_right_method(api: Site):
    assert api.call("PUT", "score/me/name", {"name": "x"}).status_code == 401
    answer = api.call("POST", "score/me/name", {"name": "x"}, "ann")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "PUT")


def test_names_are_changed_a_few_times_not_all_the_time(api: Site):
    statuses = [api.rename("ann", f"Ann {turn}").status_code for turn in range(7)]
    assert statuses == [200] * 5 + [429] * 2
    assert api.rename("bob", "Bob").status_code == 200
