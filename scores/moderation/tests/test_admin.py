"""The admin site over HTTP, on SQLite and on a real PostgreSQL: who may do what, and what it does."""

from __future__ import annotations

import concurrent.futures
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from scores.identity import local_issuer
from scores.moderation import moderating
from scores.rules.actions import Action
from scores.rules.entries import Entry
from scores.rules.players import Player, State
from scores.stores import ledger
from tools.testing import stage
from tools.testing.moderators import PASSWORD, AdminSite, Moderator, admin_site, words

ACTIONS: dict[str, dict[str, Any]] = {
    "adjust": {"amount": "-5"},
    "rename": {"name": "Ann the Fair"},
    "hide": {},
    "unhide": {},
    "ban": {"lasts": "3600"},
    "unban": {},
    "erase": {"sure": "on"},
}
#: The state an action needs, and how a player gets there.
BEFORE = {"unhide": Action.HIDE, "unban": Action.BAN}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, running_stores: None, tmp_path_factory: Any) -> Iterator[AdminSite]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('admin')}/admin.sqlite3"
    else:
        url = request.getfixturevalue("postgresql").url
    stage.reset()
    with admin_site(url) as site:
        yield site


@pytest.fixture(scope="module")
def moderator(site: AdminSite) -> Moderator:
    return site.sign_in("moderator")


_numbers = iter(range(10**6))


def new_player(site: AdminSite, score: int = 50) -> str:
    user_id = f"player-{next(_numbers)}"
    site.add(user_id, score)
    return user_id


def moderate(user_id: str, action: Action, **arguments: Any) -> None:
    """What somebody else does in the meantime."""
    version = known(user_id).version
    moderating.moderate(
        stage.scoreboard(),
        user_id=user_id,
        action=action,
        actor="rob",
        reason="my turn",
        expected_version=version,
        **arguments,
    )


def known(user_id: str) -> Player:
    player = stage.scoreboard().players.read(user_id)
    assert player is not None
    return player


def moderations(user_id: str) -> list[Entry]:
    return [entry for entry in ledger.read_all(user_id) if entry.actor and entry.actor != "rob"]


# --- Who may do what --------------------------------------------------------------------------------


class Everyone:
    """One visitor of each kind, signed in once."""

    def __init__(self, site: AdminSite, moderator: Moderator) -> None:
        player = site.visit()
        player.client.headers["Authorization"] = f"Bearer {local_issuer.mint('player-0')}"
        self.visitors = {
            "anonymous": site.visit(),
            "player": player,
            "newcomer": site.sign_in("newcomer"),
            "viewer": site.sign_in("viewer"),
            "moderator": moderator,
            "superuser": site.sign_in("superuser"),
        }


@pytest.fixture(scope="module")
def everyone(site: AdminSite, moderator: Moderator) -> dict[str, Moderator]:
    return Everyone(site, moderator).visitors


ROLES = ["anonymous", "player", "newcomer", "viewer", "moderator", "superuser"]
SEES = {"viewer", "moderator", "superuser"}
ACTS = {"moderator", "superuser"}


def refusal(role: str) -> int:
    return 302 if role in ("anonymous", "player") else 403


@pytest.mark.parametrize("role", ROLES)
def test_pages_are_for_who_may_see_players(site: AdminSite, everyone: dict[str, Moderator], role: str):
    user_id = new_player(site)
    visitor = everyone[role]
    for path in ("", "?state=banned", f"?q={user_id}", f"id/{user_id}/"):
        answer = visitor.get(site.path(path))
        assert answer.status_code == (200 if role in SEES else refusal(role)), path
        assert (user_id in answer.text) == (role in SEES and "state" not in path)
        if answer.status_code == 302:
            assert answer.headers["Location"].startswith("/admin/login/?next=")
    assert ("Hide…" in visitor.get(site.path(f"id/{user_id}/")).text) == (role in ACTS)
    assert ("Hide selected" in visitor.get(site.path()).text) == (role in ACTS)
    assert ("by rank" in visitor.get("admin/", follow_redirects=True).text) == (role in SEES)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("action", ACTIONS)
def test_only_moderators_act(site: AdminSite, everyone: dict[str, Moderator], role: str, action: str):
    user_id = new_player(site)
    if action in BEFORE:
        moderate(user_id, BEFORE[action])
    form = everyone["moderator"].form(user_id, action, **ACTIONS[action])
    before = known(user_id)
    visitor = everyone[role]
    looked = visitor.get(site.path(f"id/{user_id}/{action}/"))
    answer = visitor.act(user_id, action, form)
    if role not in ACTS:
        assert {looked.status_code, answer.status_code} == {refusal(role)}
        assert (known(user_id), moderations(user_id)) == (before, [])
        return
    assert answer.headers["Location"] == f"/admin/scores/player/id/{user_id}/"
    (entry,) = moderations(user_id)
    assert (entry.kind, entry.actor, entry.reason) == (action, f"staff:{role}", "because of a test")
    assert known(user_id).version == before.version + 1
    page = words(visitor.get(site.path(f"id/{user_id}/")))
    assert f"staff:{role} because of a test" in page


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("action", ["hide", "ban"])
def test_only_moderators_act_on_many(site: AdminSite, everyone: dict[str, Moderator], role: str, action: str):
    chosen = [new_player(site) for _ in range(2)]
    page = everyone["moderator"].post(site.path(f"bulk/{action}/"), {"player": chosen}).text
    items = re.findall(r'name="item" value="([^"]+)"', page)
    assert len(items) == 2
    form = {"item": items, "reason": "because of a test", "lasts": "forever"}
    answer = everyone[role].post(site.path(f"bulk/{action}/"), form)
    states = {known(user_id).state for user_id in chosen}
    if role in ACTS:
        assert states == {State.HIDDEN if action == "hide" else State.BANNED}
        assert answer.text.count("result done") == 2
    else:
        assert (answer.status_code, states) == (refusal(role), {State.ACTIVE})


# --- What an action does ----------------------------------------------------------------------------


def test_each_action_is_what_was_asked_for(site: AdminSite, moderator: Moderator):
    ann = new_player(site, 50)
    steps: list[tuple[str, dict[str, str], dict[str, Any]]] = [
        ("adjust", {"amount": "-5"}, {"score": 45}),
        ("rename", {"name": "Ann"}, {"name": "Ann"}),
        ("rename", {"name": ""}, {"name": None}),
        ("hide", {}, {"state": State.HIDDEN}),
        ("unhide", {}, {"state": State.ACTIVE}),
        ("ban", {"lasts": "forever"}, {"state": State.BANNED, "banned_until": None}),
        ("unban", {}, {"state": State.ACTIVE}),
        ("ban", {"lasts": "until", "until": "2100-01-01T00:00"}, {"banned_until": 4_102_444_800_000}),
        ("erase", {"sure": "on"}, {"state": State.ERASED, "score": 0, "name": None}),
    ]
    for action, fields, expected in steps:
        answer = moderator.act(ann, action, moderator.form(ann, action, **fields))
        assert answer.status_code == 302, words(answer)
        player = known(ann)
        assert {name: getattr(player, name) for name in expected} == expected
    assert len(moderations(ann)) == 9
    page = words(moderator.get(site.path(f"id/{ann}/")))
    assert "there is nothing more to do" in page and "2100-01-01 00:00:00" in page


def test_a_double_click_is_one_action(site: AdminSite, moderator: Moderator):
    ann = new_player(site)
    form = moderator.form(ann, "adjust", amount="7")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: moderator.act(ann, "adjust", form), range(4)))
    assert [answer.status_code for answer in answers] == [302] * 4
    assert known(ann).score == 57 and len(moderations(ann)) == 1


def test_a_form_that_was_sent_and_then_changed_is_another_action_and_stale(
    site: AdminSite, moderator: Moderator
):
    ann = new_player(site)
    form = moderator.form(ann, "adjust", amount="7")
    assert moderator.act(ann, "adjust", form).status_code == 302
    answer = moderator.act(ann, "adjust", form | {"amount": "9"})
    assert answer.status_code == 409 and "Nothing was done" in answer.text
    assert known(ann).score == 57


def test_a_stale_form_is_refused_and_says_what_changed(site: AdminSite, moderator: Moderator):
    ann = new_player(site)
    form = moderator.form(ann, "ban", lasts="3600")
    site.add(ann, 12)
    moderate(ann, Action.RENAME, name="Somebody")
    answer = moderator.act(ann, "ban", form)
    text = words(answer)
    assert answer.status_code == 409 and "Nothing was done" in text
    assert "update +12 points, score 62" in text
    assert "rename by rob" in text and "Somebody" in text and "my turn" in text
    assert known(ann).state is State.ACTIVE and moderations(ann) == []
    again = dict(re.findall(r'type="hidden" name="(version|entry)" value="([^"]+)"', answer.text))
    assert moderator.act(ann, "ban", form | again).status_code == 302
    assert known(ann).state is State.BANNED


@pytest.mark.parametrize("action", ["hide", "ban"])
def test_who_scores_all_the_time_can_be_taken_off_the_board_but_not_past_another_moderator(
    site: AdminSite, moderator: Moderator, action: str
):
    ann = new_player(site)
    form = moderator.form(ann, action, lasts="3600", meanwhile="on")
    site.add(ann, 12)
    assert moderator.act(ann, action, form).status_code == 302
    assert known(ann).state in (State.HIDDEN, State.BANNED) and known(ann).score == 62
    bob = new_player(site)
    form = moderator.form(bob, action, lasts="3600", meanwhile="on")
    moderate(bob, Action.RENAME, name="Somebody")
    assert moderator.act(bob, action, form).status_code == 409
    assert known(bob).state is State.ACTIVE


@pytest.mark.parametrize(
    ("action", "fields", "complaint"),
    [
        ("hide", {"reason": ""}, "This field is required"),
        ("hide", {"reason": " a "}, "at least 3 characters"),
        ("hide", {"reason": "x" * 501}, "at most 500 characters"),
        ("adjust", {"amount": "0"}, "would change nothing"),
        ("adjust", {"amount": "1.5"}, "whole number"),
        ("adjust", {"amount": "-51"}, "The score would leave"),
        ("adjust", {"amount": str(2**53)}, "less than or equal"),
        ("rename", {"name": "Admin"}, "This name is reserved"),
        ("rename", {"name": "a\u202eb"}, "invisible"),
        ("ban", {"lasts": ""}, "This field is required"),
        ("ban", {"lasts": "until"}, "Say when the ban ends"),
        ("ban", {"lasts": "until", "until": "2020-01-01T00:00"}, "must end in the future"),
        ("unhide", {}, "Cannot unhide a player who is active"),
        ("unban", {}, "Cannot unban a player who is active"),
        ("erase", {}, "This field is required"),
    ],
)
def test_what_is_not_right_is_said_and_changes_nothing(
    site: AdminSite, moderator: Moderator, action: str, fields: dict[str, str], complaint: str
):
    ann = new_player(site)
    answer = moderator.act(ann, action, moderator.form(ann, action, **fields))
    assert answer.status_code in (200, 409) and complaint in words(answer), words(answer)
    assert known(ann).version == 1 and moderations(ann) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"version": "x"},
        {"version": "0"},
        {"version": "01"},
        {"version": "99"},
        {"entry": "MOD#1"},
        {"entry": ""},
        {"version": "1" * 40},
    ],
)
def test_a_form_we_have_not_rendered_is_a_bad_request(
    site: AdminSite, moderator: Moderator, fields: dict[str, str]
):
    ann = new_player(site)
    assert moderator.act(ann, "hide", moderator.form(ann, "hide") | fields).status_code == 400
    assert known(ann).version == 1


def test_a_preview_leaves_the_message_of_an_action_that_runs_at_the_same_time(
    site: AdminSite, moderator: Moderator
):
    ann = new_player(site)
    form = moderator.form(ann, "adjust", amount="5")
    assert moderator.act(ann, "adjust", form).status_code == 302
    preview = moderator.act(ann, "adjust", form | {"preview": "only"})
    assert preview.status_code == 200 and 'id="preview"' in preview.text and "<html" not in preview.text
    assert "messagelist" in moderator.get(site.path(f"id/{ann}/")).text


def test_messages_are_in_the_session_and_in_no_cookie(site: AdminSite, moderator: Moderator):
    ann = new_player(site)
    answer = moderator.act(ann, "hide", moderator.form(ann, "hide"))
    assert answer.status_code in (200, 302)
    assert "messages" not in answer.cookies


def test_many_get_a_result_each_and_twice_is_once(site: AdminSite, moderator: Moderator):
    ann, bob, cid = (new_player(site) for _ in range(3))
    page = moderator.post(site.path("bulk/ban/"), {"player": [ann, bob, cid]}).text
    items = re.findall(r'name="item" value="([^"]+)"', page)
    site.add(bob, 5)
    form = {"item": items, "reason": "one script", "lasts": "forever"}
    json = {"Accept": "application/json"}
    for _ in range(2):
        results = moderator.post(site.path("bulk/ban/"), form, headers=json).json()["results"]
        assert [result["outcome"] for result in results] == ["done", "changed", "done"]
    assert [len(moderations(each)) for each in (ann, bob, cid)] == [1, 0, 1]
    bad = moderator.post(site.path("bulk/ban/"), form | {"reason": ""}, headers=json)
    assert (bad.status_code, bad.json()) == (400, {"detail": "Reason: This field is required."})
    assert moderator.post(site.path("bulk/erase/"), form).status_code == 404
    assert moderator.get(site.path("bulk/ban/")).status_code == 302


# --- Sessions, forged requests, lockout ---------------------------------------------------------------


def test_cookies_are_for_the_admin_site_only(site: AdminSite):
    visitor = site.visit()
    answer = visitor.try_password("viewer", PASSWORD)
    cookies = answer.headers.get_list("set-cookie")
    assert len(cookies) == 2
    for cookie in cookies:
        assert "Path=/admin/" in cookie and "SameSite=Lax" in cookie and "HttpOnly" in cookie
    (session,) = [cookie for cookie in cookies if cookie.startswith("sessionid=")]
    assert "expires" not in session.lower() and "max-age" not in session.lower()  # ends with the browser


def test_a_forged_request_is_refused(site: AdminSite, moderator: Moderator):
    ann = new_player(site)
    form = moderator.form(ann, "hide")
    path = site.path(f"id/{ann}/hide/")
    assert moderator.client.post(path, data=form).status_code == 403
    elsewhere = moderator.post(path, form, headers={"Origin": "https://evil.example"})
    assert elsewhere.status_code == 403
    assert known(ann).version == 1


def test_signing_out_ends_the_session(site: AdminSite):
    visitor = site.sign_in("viewer")
    assert visitor.get(site.path()).status_code == 200
    session = visitor.client.cookies["sessionid"]
    visitor.post("admin/logout/", {})
    visitor.client.cookies.set("sessionid", session, path="/admin/")
    assert visitor.get(site.path()).status_code == 302


def test_every_answer_has_a_strict_policy_and_is_not_kept(site: AdminSite, moderator: Moderator):
    answers = [
        site.visit().get("admin/login/"),
        *(moderator.get(path) for path in ("admin/", site.path(), site.path("id/nobody/"), "admin/nothing/")),
        moderator.get("admin/auth/user/"),
        moderator.post("admin/logout-not/", {}),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 404, 404, 403, 404]
    for answer in answers:
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
        assert "unsafe" not in policy and "form-action 'self'" in policy
        assert "no-store" in answer.headers["Cache-Control"]
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["X-Request-ID"]
        assert "<title>" in answer.text


def test_forms_may_be_larger_than_updates_but_not_endless(site: AdminSite, moderator: Moderator):
    ann = new_player(site)
    path = site.path(f"id/{ann}/hide/")
    form = moderator.form(ann, "hide")
    assert moderator.post(path, form | {"reason": "x" * 60_000}).status_code == 200
    for length in (70_000, 5_000_000):
        try:
            assert moderator.post(path, form | {"reason": "x" * length}).status_code == 413
        except httpx.TransportError:  # refused while it was still being sent
            pass
    assert (
        site.call("POST", "score/update", {"userId": "x" * 5000, "increment": 1}, "server").status_code == 413
    )
    assert known(ann).version == 1


def test_an_account_that_is_not_active_any_more_is_refused_at_its_next_request(site: AdminSite):
    leaver, superuser = site.sign_in("leaver"), site.sign_in("superuser")
    assert leaver.get(site.path()).status_code == 200
    (number,) = set(re.findall(r"auth/user/(\d+)/change/", superuser.get("admin/auth/user/?q=leaver").text))
    path = f"admin/auth/user/{number}/change/"
    filled = dict(re.findall(r'<input type="[^"]+" name="([^"]+)" value="([^"]*)"', superuser.get(path).text))
    saved = superuser.post(path, filled | {"is_staff": "on", "_save": "Save"})  # without `is_active`
    assert saved.status_code == 302, words(saved)
    assert leaver.get(site.path()).status_code == 302
    assert site.visit().try_password("leaver", PASSWORD).status_code == 200  # the form once more


def test_a_message_sets_no_cookie_outside_the_admin_site(site: AdminSite, moderator: Moderator):
    ann = new_player(site)
    answer = moderator.post(site.path(f"id/{ann}/hide/"), moderator.form(ann, "hide") | {"reason": "because"})
    assert answer.status_code == 302
    assert "messages" not in " ".join(answer.headers.get_list("set-cookie"))
    assert "is hidden" in moderator.get(site.path(f"id/{ann}/")).text


def test_the_account_is_locked_after_failed_sign_ins(site: AdminSite):
    for _ in range(5):
        answer = site.visit().try_password("newcomer", "wrong")
    assert answer.status_code == 429 and int(answer.headers["Retry-After"]) == 900
    locked = site.visit().try_password("newcomer", PASSWORD)
    assert locked.status_code == 429 and "Too many failed sign-ins" in locked.text
    colleague = site.visit().try_password("viewer", PASSWORD)
    assert colleague.status_code == 302  # from the same address


def test_an_address_is_locked_for_all_accounts_after_many_failures(running_stores: None, tmp_path: Any):
    url = f"sqlite:///{tmp_path}/admin.sqlite3"
    with admin_site(url, SCOREBOARD_ADMIN_FAILURES="2", SCOREBOARD_ADMIN_ADDRESS_FAILURES="4") as site:
        for account in ("a", "b", "c"):
            assert site.visit().try_password(account, "wrong").status_code == 200
        site.sign_in("viewer")  # forgets the failures of this account only
        assert site.visit().try_password("d", "wrong").status_code == 429
        assert site.visit().try_password("viewer", PASSWORD).status_code == 429
