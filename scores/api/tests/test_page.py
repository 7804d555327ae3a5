"""The page without a browser, the settings it goes by, and what a name does to the records."""

from __future__ import annotations

import pytest
from django.core.checks import CheckMessage

from scores import checks
from scores.identity import local_issuer
from scores.moderation import moderating
from scores.rules.actions import Action
from scores.rules.errors import Banned, Refused
from scores.rules.names import BadName
from scores.stores import ledger
from tools.testing import stage


def test_a_private_board_is_not_on_the_page(client, settings):
    settings.SCOREBOARD_PUBLIC = False
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    assert 'data-revision="-1"' in answer.text
    assert "This board is private" in answer.text


def test_the_page_offers_the_sign_in_that_is_configured(client, settings):
    settings.SCOREBOARD_PUBLIC = False
    assert 'data-demo-url="/demo/sign-in"' in client.get("/").text
    settings.COGNITO_DOMAIN, settings.COGNITO_WEB_CLIENT_ID = "https://pool.example", "web"
    text = client.get("/").text
    assert 'data-cognito-domain="https://pool.example" data-cognito-client-id="web"' in text
    assert "data-demo-url" not in text
    settings.COGNITO_DOMAIN, settings.LOCAL_ISSUER = "", False
    assert 'id="you"' not in client.get("/").text


def test_only_known_views_reach_the_page(client, settings):
    settings.SCOREBOARD_PUBLIC = False
    assert 'data-view="wall"' in client.get("/?view=wall").text
    assert "data-view" not in client.get('/?view="><script>').text


def test_the_demo_signs_in_guests_who_are_new(client):
    answers = [client.post("/demo/sign-in") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert all(answer["Cache-Control"] == "no-store" for answer in answers)
    first, second = (answer.json() for answer in answers)
    assert first["userId"] != second["userId"]
    assert client.get("/demo/sign-in").status_code == 405
    assert first["accessToken"] != local_issuer.mint(first["userId"])


@pytest.mark.parametrize(
    ("domain", "client_id", "problem"),
    [
        ("https://pool.example", "local", None),
        ("https://pool.example/oauth2", "local", "scoreboard.E011"),
        ("pool.example", "local", "scoreboard.E011"),
        ("https://pool.example x", "local", "scoreboard.E011"),
        ("https://pool.example", "", "scoreboard.E012"),
    ],
)
def test_settings_of_the_sign_in_must_agree(settings, domain: str, client_id: str, problem: str | None):
    settings.COGNITO_DOMAIN, settings.COGNITO_WEB_CLIENT_ID = domain, client_id
    found: list[CheckMessage] = checks.check_identity()
    assert [each.id for each in found if each.id in ("scoreboard.E011", "scoreboard.E012")] == (
        [problem] if problem else []
    )


def test_a_name_is_an_entry_of_the_ledger_by_the_player(stores):
    stage.add("ann", 10)
    assert moderating.rename(stage.scoreboard(), user_id="ann", name=" Zoë ") == "Zoë"
    assert moderating.rename(stage.scoreboard(), user_id="ann", name="Zoë") == "Zoë"
    last, renamed = sorted(ledger.read_all("ann"), key=lambda entry: entry.version)
    assert (renamed.kind, renamed.actor, renamed.increment) == ("rename", "ann", 0)
    assert (renamed.new_score, renamed.version) == (10, last.version + 1)
    assert stage.table()["ann"].reached_at == last.at


def test_a_name_can_come_before_the_first_point(stores):
    moderating.rename(stage.scoreboard(), user_id="ann", name="Zoë")
    assert stage.add("ann", 10) == 10
    assert stage.table()["ann"].name == "Zoë"


def test_who_is_banned_or_erased_chooses_no_name(stores):
    stage.add("ann", 10)
    for action, error in ((Action.BAN, Banned), (Action.ERASE, Refused)):
        player = stage.table()["ann"]
        moderating.moderate(
            stage.scoreboard(),
            user_id="ann",
            action=action,
            actor="mod",
            reason="test",
            expected_version=player.version,
        )
        with pytest.raises(error):
            moderating.rename(stage.scoreboard(), user_id="ann", name="Zoë")
    assert stage.table()["ann"].name is None


def test_a_bad_name_is_refused_before_anything_is_read():
    with pytest.raises(BadName):
        moderating.rename(stage.scoreboard(), user_id="ann", name="admin")
