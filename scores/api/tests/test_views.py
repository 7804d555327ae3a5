"""The HTTP contract: what goes in, what comes out, and that bad input changes nothing."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from scores.board.tests.test_adding import moderate
from scores.identity import local_issuer
from scores.identity.verifier import WRITE_SCOPE
from scores.rules.actions import Action
from scores.rules.players import ID_PATTERN, MAX_SCORE
from scores.upkeep import rebuild, reconcile
from tools.testing import stage

pytestmark = pytest.mark.usefixtures("stores")

PROBLEM = "application/problem+json"


def call(method, path, body=None, user=None, scope="", **headers):
    """One request; a `body` that is no bytes is sent as JSON."""
    if user:
        headers["Authorization"] = f"Bearer {local_issuer.mint(user, scope)}"
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    content_type = headers.pop("Content-Type", "application/json")
    return Client().generic(method, path, data, content_type=content_type, headers=headers)


def update(body, user="ann", **options):
    return call("POST", "/score/update", body, user, **options)


def assert_problem(response, status, code):
    assert (response.status_code, response["Content-Type"]) == (status, PROBLEM)
    body = response.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"] == "about:blank" and body["title"] and body["detail"]
    if status in (429, 503):
        assert int(response["Retry-After"]) >= 1


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_an_update_answers_the_new_score(method):
    for score in (10, 20):
        response = call(method, "/score/update", {"userId": "ann", "increment": 10}, "ann")
        assert response.status_code == 200
        assert response.content == b'{"status":"success","newScore":%d}' % score
        assert response["Idempotency-Key"]
        assert "Idempotent-Replayed" not in response


def test_the_same_key_is_answered_alike_quoted_or_not():
    body = {"userId": "ann", "increment": 10}
    first = update(body, Idempotency_Key="k1")
    again = update(body, Idempotency_Key='"k1"')
    assert first.content == again.content
    assert (first["Idempotency-Key"], again["Idempotency-Key"]) == ("k1", "k1")
    assert again["Idempotent-Replayed"] == "true"
    reused = update(body | {"increment": 11}, Idempotency_Key="k1")
    assert_problem(reused, 422, "key_reused")
    assert reused["Idempotency-Key"] == "k1"


@pytest.mark.parametrize("key", ["", '"', '""', "a b", "MOD#1", "k1,k2", "x" * 129, '"k1', "ä"])
def test_an_odd_key_is_refused_and_a_usable_one_is_answered(key):
    response = update({"userId": "ann", "increment": 1}, Idempotency_Key=key)
    assert_problem(response, 400, "invalid")
    assert ID_PATTERN.fullmatch(response["Idempotency-Key"])
    assert not stage.scoreboard().players.read("ann").version


PLACEHOLDERS = ["undefined", "null", "NaN", "None", "true", "False", "NULL", '"undefined"', "[object Object]"]


@pytest.mark.parametrize("key", PLACEHOLDERS)
def test_a_placeholder_is_no_key_and_that_is_said(key):
    for _ in range(2):
        response = update({"userId": "ann", "increment": 1}, Idempotency_Key=key)
        assert_problem(response, 400, "invalid")
        assert "undefined" in response.json()["detail"]
        assert response["Idempotency-Key"] not in PLACEHOLDERS
    assert not stage.scoreboard().players.read("ann").version


@pytest.mark.parametrize("key", ["undefined-1", "nullable", "truest", "0", "NaN:1"])
def test_a_key_that_only_looks_like_a_placeholder_counts(key):
    assert update({"userId": "ann", "increment": 1}, Idempotency_Key=key)["Idempotency-Key"] == key


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/score/top10", None),
        ("GET", "/score/me", None),
        ("POST", "/score/update", {"userId": "ann", "increment": 1}),
        ("PUT", "/score/me/name", {"name": "Ann"}),
    ],
)
def test_an_unknown_query_parameter_is_refused_and_named(method, path, body):
    response = call(method, f"{path}?bord=x&_=1", body, "ann")
    assert_problem(response, 400, "invalid")
    assert response.json()["errors"].keys() == {"bord", "_"}
    assert not stage.scoreboard().players.read("ann").version


def test_too_many_query_parameters_are_a_bad_request():
    for path in ("/", "/score/top10"):
        assert_problem(call("GET", f"{path}?" + "&".join(f"a{n}=1" for n in range(1001))), 400, "invalid")


def test_a_server_may_name_any_player_and_a_player_may_not():
    assert update({"userId": "bob", "increment": 1}, "server", scope=WRITE_SCOPE).status_code == 200
    assert_problem(update({"userId": "bob", "increment": 1}, "ann", Idempotency_Key="k"), 403, "forbidden")
    assert stage.scoreboard().players.read("bob").score == 1


NESTED = b'{"userId":' + b"[" * 2000 + b"]" * 2000 + b"}"
BAD_BODIES = {
    "nothing": b"",
    "not JSON": b"{",
    "not UTF-8": b'{"userId":"\xff","increment":1}',
    "no object": b"[]",
    "a null": b"null",
    "no userId": {"increment": 1},
    "no increment": {"userId": "ann"},
    "an unknown field": {"userId": "ann", "increment": 1, "score": 5},
    "a duplicate": b'{"userId":"ann","increment":1,"increment":2}',
    "a string": {"userId": "ann", "increment": "1"},
    "an underscore": {"userId": "ann", "increment": "1_0"},
    "a float": b'{"userId":"ann","increment":1.0}',
    "an exponent": b'{"userId":"ann","increment":1e2}',
    "an endless one": b'{"userId":"ann","increment":1e309}',
    "NaN": b'{"userId":"ann","increment":NaN}',
    "Infinity": b'{"userId":"ann","increment":Infinity}',
    "a boolean": {"userId": "ann", "increment": True},
    "a null increment": {"userId": "ann", "increment": None},
    "zero": {"userId": "ann", "increment": 0},
    "less than zero": {"userId": "ann", "increment": -1},
    "too much": {"userId": "ann", "increment": 1001},
    "2^53": {"userId": "ann", "increment": 2**53},
    "thousands of digits": b'{"userId":"ann","increment":' + b"9" * 4000 + b"}",
    "an odd userId": {"userId": "a#b", "increment": 1},
    "a long userId": {"userId": "a" * 129, "increment": 1},
    "a numeric userId": {"userId": 7, "increment": 1},
    "deep nesting": NESTED[:4090],
    "a deep value": b'{"userId":' + b"[" * 1000 + b"]" * 1000 + b',"increment":1}',
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_a_bad_body_is_400_and_changes_nothing(body):
    response = update(body, Idempotency_Key="k")
    assert_problem(response, 400, "invalid")
    assert response["Idempotency-Key"] == "k"
    assert not stage.scoreboard().players.read("ann").version


def test_all_that_is_wrong_with_a_body_is_named_at_once():
    response = update({"userId": "ann ", "increment": -1, "bonus": 5})
    assert_problem(response, 400, "invalid")
    assert response.json()["errors"].keys() == {"userId", "increment", "bonus"}


def test_a_large_body_is_413():
    body = {"userId": "ann", "increment": 1, "x": "x" * 4096}
    assert_problem(update(body), 413, "too_large")


@pytest.mark.parametrize(
    "content_type",
    [
        *("text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", ""),
        *("application/json; charset=utf-16", "application/json; charset=base64", "application/jsonp"),
        *("application/json; charset=utf-8; charset=latin1", "application/json charset=utf-8", "json"),
        *(
            'application/json; charset="utf-8',
            "application/json; =x",
            "text/json",
            "application/problem+json",
        ),
    ],
)
def test_only_json_is_read(content_type):
    response = update({"userId": "ann", "increment": 1}, Content_Type=content_type)
    assert_problem(response, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "content_type",
    [
        *("application/json", "Application/JSON", "application/json;", "application/json ; ;"),
        *(
            "application/json; charset=utf-8",
            "application/json;charset=UTF-8",
            'application/json; CHARSET="UTF-8"',
        ),
        *("application/json; charset=utf8", "application/json; charset=us-ascii"),
        *('application/json; profile="https://a.example/b;c"', "application/json; v=1; charset=utf-8; q=0.5"),
        *("application/json; odata=verbose",),
    ],
)
def test_harmless_parameters_of_json_are_ignored(content_type):
    assert update({"userId": "ann", "increment": 1}, Content_Type=content_type).status_code == 200


@pytest.mark.parametrize("authorization", [None, "Basic YTpi", "Bearer", "Bearer a b", "Bearer nonsense"])
def test_who_cannot_be_identified_is_challenged(authorization):
    headers = {"Authorization": authorization} if authorization else {}
    for method, path in (("POST", "/score/update"), ("GET", "/score/me")):
        response = call(method, path, {"userId": "ann", "increment": 1}, **headers)
        assert_problem(response, 401, "unauthorized")
        refused = authorization is not None and authorization.startswith("Bearer")
        error = ', error="invalid_token"' if refused else ""
        assert response["WWW-Authenticate"] == f'Bearer realm="scoreboard"{error}'


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/score/update"),
        ("DELETE", "/score/update"),
        ("PUT", "/score/update"),
        ("POST", "/score/top10"),
        ("OPTIONS", "/score/top10"),
        ("DELETE", "/score/me"),
    ],
)
def test_other_methods_are_405(method, path):
    response = call(method, path)
    assert_problem(response, 405, "method_not_allowed")
    assert response["Allow"]


@pytest.mark.parametrize("path", ["/score/update/", "/score", "/score/../x", "/static/none.js"])
def test_other_paths_are_404(path):
    assert_problem(call("GET", path), 404, "not_found")


def test_an_unknown_host_is_400():
    assert_problem(call("GET", "/score/top10", Host="evil.example"), 400, "invalid")


def test_a_banned_player_and_a_full_score_are_said_so():
    update({"userId": "ann", "increment": 1})
    moderate("ann", Action.ADJUST, amount=MAX_SCORE - 1)
    assert_problem(update({"userId": "ann", "increment": 1}), 409, "score_limit")
    moderate("ann", Action.BAN)
    assert_problem(update({"userId": "ann", "increment": 1}), 403, "banned")


def test_the_board_has_an_etag_a_revision_and_a_time():
    for number in range(12):
        update({"userId": f"u{number}", "increment": 1 + number}, f"u{number}")
    reconcile.reconcile_ranking(stage.scoreboard())
    response = call("GET", "/score/top10", Authorization="Bearer nonsense")
    rows = response.json()
    assert [row["score"] for row in rows] == list(range(12, 2, -1))
    assert rows[0] == {"rank": 1, "userId": "u11", "name": None, "score": 12}
    assert response["Cache-Control"] == "public, max-age=1"
    assert int(response["Board-Revision"]) > 0 and response["Board-As-Of"].endswith("Z")
    for tags in (response["ETag"], f'"x", W/{response["ETag"]}', "*"):
        unchanged = call("GET", "/score/top10", If_None_Match=tags)
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert unchanged["ETag"] == response["ETag"]
    update({"userId": "u3", "increment": 100}, "u3")
    assert call("GET", "/score/top10", If_None_Match=response["ETag"]).status_code == 200
    assert call("HEAD", "/score/top10").status_code == 200


def test_a_private_board_needs_a_token_and_is_nobodys_to_store(settings):
    settings.SCOREBOARD_PUBLIC = False
    assert_problem(call("GET", "/score/top10"), 401, "unauthorized")
    response = call("GET", "/score/top10", user="ann")
    assert (response.status_code, response["Cache-Control"]) == (200, "private, no-store")


def test_me_is_private_and_exact():
    update({"userId": "ann", "increment": 7})
    rebuild.rebuild_ranking(stage.scoreboard(), full=True)
    response = call("GET", "/score/me", user="ann")
    assert response["Cache-Control"] == "private, no-store"
    assert response.json() == {"userId": "ann", "score": 7, "rank": 1, "total": 1, "pointsToTop10": 0}


@pytest.mark.parametrize("path", ["/", "/score/top10", "/score/me", "/nope"])
def test_every_answer_carries_the_security_headers(path):
    response = call("GET", path)
    assert "default-src 'none'" in response["Content-Security-Policy"]
    assert "unsafe" not in response["Content-Security-Policy"]
    assert response["X-Content-Type-Options"] == "nosniff"
    assert not response.cookies
