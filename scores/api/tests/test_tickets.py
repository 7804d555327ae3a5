"""Tickets: who signed them, for what, how often they count, and what a player without one can do."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import time

import jwt
import pytest
from django.conf import settings

from scores.api.tests.test_views import assert_problem, update
from scores.identity.verifier import WRITE_SCOPE
from scores.rules import tickets
from scores.rules.errors import TicketInvalid
from scores.rules.players import ID_PATTERN
from scores.rules.tickets import Ticket
from scores.stores import ledger
from tools.devstack.install.dev_programs import find_node
from tools.testing import stage

KEYS = {"new": secrets.token_urlsafe(48), "old": secrets.token_urlsafe(48)}


@pytest.fixture
def tickets_on(stores, settings):
    settings.SCOREBOARD_REQUIRE_TICKET = True
    settings.SCOREBOARD_TICKET_KEYS = dict(KEYS)
    return settings


def claims(**changes):
    made = {"sub": "ann", "increment": 10, "jti": "action-1", "exp": int(time.time()) + 60} | changes
    return {name: value for name, value in made.items() if value is not ...}


def signed(key=KEYS["new"], kid="new", algorithm="HS256", headers=(), **changes):
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers={"kid": kid} | dict(headers))


def hand_in(ticket, increment=10, user="ann", **options):
    return update({"userId": "ann", "increment": increment, "ticket": ticket}, user, **options)


def test_a_ticket_counts_once_and_its_jti_is_the_key(tickets_on):
    first, again = hand_in(signed()), hand_in(signed(), Idempotency_Key="action-1")
    assert first.status_code == again.status_code == 200
    assert first.content == again.content == b'{"status":"success","newScore":10}'
    assert first["Idempotency-Key"] == again["Idempotency-Key"] == "action-1"
    assert again["Idempotent-Replayed"] == "true"
    assert ledger.read_entry("ann", "action-1") is not None


def test_another_key_beside_a_ticket_is_refused(tickets_on):
    response = hand_in(signed(), Idempotency_Key="other")
    assert_problem(response, 400, "invalid")
    assert response["Idempotency-Key"] == "action-1"
    assert not stage.scoreboard().players.read("ann").version


def test_a_player_without_a_ticket_gets_nothing_and_a_server_needs_none(tickets_on):
    response = update({"userId": "ann", "increment": 10}, Idempotency_Key="k")
    assert_problem(response, 403, "ticket_required")
    assert response["Idempotency-Key"] == "k"
    assert not stage.scoreboard().players.read("ann").version
    answer = update({"userId": "ann", "increment": 10}, "server", scope=WRITE_SCOPE)
    assert answer.status_code == 200
    assert hand_in(signed(), user="server", scope=WRITE_SCOPE).json()["newScore"] == 20


def test_both_keys_count_while_one_replaces_the_other(tickets_on):
    assert hand_in(signed()).status_code == 200
    assert hand_in(signed(KEYS["old"], "old", jti="action-2")).json()["newScore"] == 20
    del tickets_on.SCOREBOARD_TICKET_KEYS["old"]
    assert_problem(hand_in(signed(KEYS["old"], "old", jti="action-3")), 403, "ticket_invalid")


def test_a_used_ticket_is_answered_alike_after_it_has_expired(tickets_on, monkeypatch):
    first = hand_in(signed())
    stage.forget()  # another process, or this one after a restart
    later = stage.scoreboard().now_ms() + 3_600_000
    monkeypatch.setattr(stage.scoreboard(), "now_ms", lambda: later)
    again = hand_in(signed())
    assert (again.status_code, again.content) == (200, first.content)
    assert again["Idempotent-Replayed"] == "true"
    unused = hand_in(signed(jti="action-2"))
    assert_problem(unused, 403, "ticket_expired")
    assert unused["Idempotency-Key"] == "action-2"
    assert stage.scoreboard().players.read("ann").score == 10


def test_an_expired_ticket_with_another_increment_is_refused(tickets_on):
    assert hand_in(signed()).status_code == 200
    forged = hand_in(signed(increment=20, exp=int(time.time()) - 100), increment=20)
    assert_problem(forged, 422, "key_reused")


def test_a_clock_may_be_off_by_the_leeway(tickets_on):
    assert hand_in(signed(exp=int(time.time()) - 20)).status_code == 200
    assert_problem(hand_in(signed(exp=int(time.time()) - 40, jti="action-2")), 403, "ticket_expired")


def test_a_ticket_must_be_over_before_the_ledger_forgets_it(tickets_on):
    remembered = tickets_on.SCOREBOARD_LEDGER_DAYS * 86_400
    assert_problem(hand_in(signed(exp=int(time.time()) + remembered)), 403, "ticket_invalid")
    assert hand_in(signed(exp=int(time.time()) + remembered - 60)).status_code == 200


WRONG = {
    "for another player": {"sub": "bob"},
    "for fewer points": {"increment": 9},
    "points as a string": {"increment": "10"},
    "points as a float": {"increment": 10.0},
    "points as a boolean": {"increment": True},
    "no points": {"increment": ...},
    "no player": {"sub": ...},
    "no jti": {"jti": ...},
    "no expiry": {"exp": ...},
    "expiry as a string": {"exp": "4102444800"},
    "expiry as a float": {"exp": time.time() + 60},
    "another claim": {"iss": "scoreboard"},
    "for a service without a board": {"aud": "scoreboard"},
    "for another board": {"aud": "scoreboard:OTHER"},
    "for another service": {"aud": "staging:SCOREBOARD"},
    "for other boards": {"aud": ["scoreboard:A", "scoreboard:B", 7]},
    "for nothing": {"aud": []},
    "an odd audience": {"aud": {"scoreboard:SCOREBOARD": 1}},
    "an empty audience": {"aud": None},
    "not yet valid": {"nbf": 4102444800},
    "a moderator's entry": {"jti": "MOD#01ARZ3NDEKTSV4RRFFQ69G5FAV"},
    "an odd jti": {"jti": "a b"},
    "a long jti": {"jti": "x" * 129},
    "a numeric jti": {"jti": 7},
    "an odd player": {"sub": "a#b"},
    "signed with another key": {"key": secrets.token_urlsafe(48)},
    "signed with the other key": {"key": KEYS["old"]},
    "an unknown key id": {"kid": "none"},
    "an odd key id": {"headers": {"kid": "new\x00"}},
    "HS512": {"algorithm": "HS512"},
    "no signature": {"key": "", "algorithm": "none"},
    "critical extensions": {"headers": {"crit": ["exp"]}},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_ticket_is_refused_and_changes_nothing(tickets_on, changes):
    response = hand_in(signed(**changes))
    assert_problem(response, 403, "ticket_invalid")
    assert ID_PATTERN.fullmatch(response["Idempotency-Key"])
    assert stage.table() == {}


@pytest.mark.parametrize("aud", ["scoreboard:SCOREBOARD", ["game", "scoreboard:SCOREBOARD"]])
def test_a_ticket_for_this_board_counts(tickets_on, aud):
    assert hand_in(signed(aud=aud)).status_code == 200


def test_a_service_with_a_name_counts_only_tickets_that_name_it(tickets_on):
    tickets_on.SCOREBOARD_TICKET_AUDIENCE = "prod"
    for aud in (..., "scoreboard:SCOREBOARD", "prod", "prod:OTHER"):
        answer = hand_in(signed(aud=aud))
        assert_problem(answer, 403, "ticket_invalid")
        assert "prod:SCOREBOARD" in answer.json()["detail"]
    assert hand_in(signed(aud="prod:SCOREBOARD")).status_code == 200


def test_a_ticket_names_its_key():
    with pytest.raises(TicketInvalid):
        tickets.verify(jwt.encode(claims(), KEYS["new"], algorithm="HS256"), KEYS)


@pytest.mark.parametrize("text", ["x", "a.b.c", "..", "é.é.é", "\ud800", "e30.e30.e30", "bnVsbA.e30.e30"])
def test_what_is_no_ticket_is_refused(text):
    with pytest.raises(TicketInvalid):
        tickets.verify(text, KEYS)


@pytest.mark.parametrize("ticket", ["", "x" * 2049, 7, None, ["x"], {"sub": "ann"}])
def test_a_ticket_is_a_string(tickets_on, ticket):
    assert_problem(hand_in(ticket), 400, "invalid")


def test_a_ticket_counts_where_none_is_required(tickets_on):
    tickets_on.SCOREBOARD_REQUIRE_TICKET = False
    assert hand_in(signed()).status_code == 200
    assert_problem(hand_in(signed(sub="bob")), 403, "ticket_invalid")


def test_only_the_server_writes_when_that_is_set(tickets_on):
    tickets_on.SCOREBOARD_SERVER_ONLY = True
    assert_problem(hand_in(signed()), 403, "forbidden")
    assert hand_in(signed(), user="server", scope=WRITE_SCOPE).status_code == 200


def test_what_is_signed_is_what_is_read():
    ticket = Ticket("ann", 10, "action-1", 4102444800)
    assert tickets.verify(tickets.sign(ticket, "new", KEYS["new"]), KEYS) == ticket
    for_board = tickets.sign(ticket, "new", KEYS["new"], tickets.audience())
    assert tickets.verify(for_board, KEYS) == ticket
    with pytest.raises(TicketInvalid):
        tickets.verify(for_board, KEYS, board="OTHER")


# --- The helpers of docs/tickets.md, run as they stand there ----------------------------------------


def snippet(language):
    text = (settings.BASE_DIR / "docs" / "tickets.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)[0]


def test_the_documented_python_helper_signs_tickets(tickets_on):
    space = {}
    exec(snippet("python"), space)
    assert hand_in(space["sign_ticket"]("ann", 10, "quest-17:ann", "new", KEYS["new"])).status_code == 200


def test_the_documented_node_helper_signs_tickets(tickets_on, tmp_path):
    call = f'signTicket("ann", 10, "quest-17:ann", "new", {json.dumps(KEYS["new"])})'
    (tmp_path / "sign.cjs").write_text(f"{snippet('js')}\nprocess.stdout.write({call});\n")
    command = [*find_node(), str(tmp_path / "sign.cjs")]
    ticket = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    assert hand_in(ticket).status_code == 200
