"""Threats T4 and T5 against a real server: every forged token is a 401, whatever it points to.

The key endpoint, and the server to which tokens try to lure us, are real HTTP servers that count requests.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Iterator

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from scores.identity.keyset import REFETCH_S
from scores.identity.tests.test_verifier import ISSUER, KEY, OTHER, Pool, token
from tools.devstack.processes.part import Part
from tools.testing import stage
from tools.testing.processes import server

EC_KEY = ec.generate_private_key(ec.SECP256R1())
SMALL = rsa.generate_private_key(public_exponent=65537, key_size=1024)
PEM = KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
FLOOD = 1000


def part(data: object) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims(**changes):
    return jwt.decode(token(**changes), options={"verify_signature": False})


def hmac_signed(key: bytes, header: object) -> str:
    """HMAC with a public key as the secret: PyJWT refuses to make such a token."""
    signed = f"{part(header)}.{part(claims())}"
    return f"{signed}.{part(hmac.new(key, signed.encode(), hashlib.sha256).digest())}"


def rs256(header: object, payload: object, key=KEY) -> str:
    """Signed with a real key, whatever is in it."""
    signed = f"{part(header)}.{part(payload)}"
    signature = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256).sign(signed.encode(), key)
    return f"{signed}.{part(signature)}"


HEADER = {"alg": "RS256", "kid": "one", "typ": "JWT"}


def forged(trap: str) -> dict[str, str]:
    """Tokens of every odd kind; those that name an address name `trap`."""
    now = int(time.time())
    good = token()
    head, body, signature = good.split(".")
    jwk = jwt.algorithms.RSAAlgorithm.to_jwk(OTHER.public_key(), as_dict=True)
    lures = {"jku": trap, "x5u": trap, "jwk": jwk, "x5c": [part(PEM)], "iss": trap}
    return {
        "alg none": jwt.encode(claims(), "", algorithm="none", headers={"kid": "one"}),
        "alg None": f"{part(HEADER | {'alg': 'None'})}.{body}.",
        "alg missing": rs256({"kid": "one"}, claims()),
        "alg empty": rs256(HEADER | {"alg": ""}, claims()),
        "alg a list": rs256(HEADER | {"alg": ["RS256"]}, claims()),
        "alg rs256": rs256(HEADER | {"alg": "rs256"}, claims()),
        "HS256 with the public key": hmac_signed(PEM, HEADER | {"alg": "HS256"}),
        "RS256 that is HMAC": hmac_signed(PEM, HEADER),
        "RS384": jwt.encode(claims(), KEY, algorithm="RS384", headers={"kid": "one"}),
        "RS512": jwt.encode(claims(), KEY, algorithm="RS512", headers={"kid": "one"}),
        "PS256": jwt.encode(claims(), KEY, algorithm="PS256", headers={"kid": "one"}),
        "ES256": jwt.encode(claims(), EC_KEY, algorithm="ES256", headers={"kid": "one"}),
        "another key": token(key=OTHER),
        "a small key": rs256(HEADER, claims(), SMALL),
        "kid unknown": token(kid="two"),
        "kid empty": token(kid=""),
        "kid missing": rs256({"alg": "RS256"}, claims()),
        "kid a number": rs256(HEADER | {"kid": 1}, claims()),
        "kid null": rs256(HEADER | {"kid": None}, claims()),
        "kid a list": rs256(HEADER | {"kid": ["one"]}, claims()),
        "kid a path": token(kid="../../../dev/null"),
        "kid an injection": token(kid="one' OR '1'='1"),
        "kid very long": token(kid="k" * 5000),
        "crit": rs256(HEADER | {"crit": ["exp"]}, claims()),
        "crit empty": rs256(HEADER | {"crit": []}, claims()),
        "b64 false": rs256(HEADER | {"b64": False, "crit": ["b64"]}, claims()),
        "ID token": token(token_use="id", aud="web", client_id=None),
        "no token_use": token(token_use=None),
        "token_use a list": token(token_use=["access"]),
        "another client": token(client_id="other"),
        "no client": token(client_id=None),
        "the client as aud": token(client_id=None, aud="web"),
        "another pool": token(iss=ISSUER + "2"),
        "no issuer": token(iss=None),
        "issuer with a slash": token(iss=ISSUER + "/"),
        "expired": token(exp=now - 31),
        "no exp": token(exp=None),
        "exp a string": rs256(HEADER, claims() | {"exp": str(now + 60)}),
        "exp a float": rs256(HEADER, claims() | {"exp": now + 60.5}),
        "exp true": rs256(HEADER, claims() | {"exp": True}),
        "exp null": rs256(HEADER, claims() | {"exp": None}),
        "exp infinite": rs256(HEADER, json.dumps(claims() | {"exp": float("inf")}).encode()),
        "exp NaN": rs256(HEADER, json.dumps(claims() | {"exp": float("nan")}).encode()),
        "exp 400 digits": token(exp=10**400),
        "exp in the far future": token(exp=2**62),
        "not yet valid": token(nbf=now + 120),
        "nbf a string": rs256(HEADER, claims() | {"nbf": "0"}),
        "issued in the future": token(iat=now + 120),
        "no iat": token(iat=None),
        "iat a string": rs256(HEADER, claims() | {"iat": "now"}),
        "no sub": token(sub=None),
        "sub empty": token(sub=""),
        "sub a number": rs256(HEADER, claims() | {"sub": 7}),
        "sub a ledger entry": token(sub="MOD#1"),
        "sub with a line break": token(sub="ann\n"),
        "sub too long": token(sub="a" * 129),
        "sub outside ASCII": token(sub="änn"),
        "scope a list": token(scope=["scoreboard/score.write"]),
        "payload a list": rs256(HEADER, []),
        "payload a string": rs256(HEADER, "ann"),
        "payload null": rs256(HEADER, None),
        "payload deep": rs256(HEADER, b"[" * 3000 + b"]" * 3000),
        "payload not UTF-8": rs256(HEADER, b'{"sub":"\xff"}'),
        "header deep": f"{part(b'[' * 3000 + b']' * 3000)}.{body}.{signature}",
        "header a list": f"{part([])}.{body}.{signature}",
        "changed payload": f"{head}.{part(claims(sub='eve'))}.{signature}",
        "signature cut off": f"{head}.{body}.",
        "signature shorter": good[:-8],
        "two parts": f"{head}.{body}",
        "four parts": f"{good}.{signature}",
        "encrypted (five parts)": "a.b.c.d.e",
        "twice, with a comma": f"{good},{good}",
        "quoted": f'"{good}"',
        "no token": "nonsense",
        "dots": "..",
        "far too long": "a" * 9000,
    } | {f"lured by {name}": rs256(HEADER | {"kid": "lure", name: value}, claims(), OTHER)
         for name, value in lures.items()}  # fmt: skip


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool() as endpoint:
        threading.Thread(target=endpoint.serve_forever, args=(0.02,), daemon=True).start()
        yield endpoint
        endpoint.shutdown()


@pytest.fixture(scope="module")
def site(running_stores: None, pool: Pool) -> Iterator[Part]:
    stage.reset()
    with server(
        COGNITO_USER_POOL="pool",
        COGNITO_CLIENT_IDS="web",
        COGNITO_ISSUER=ISSUER,
        COGNITO_KEYSET_URL=pool.url,
    ) as part:
        yield part


@pytest.fixture(scope="module")
def client(site: Part) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.url) as client:
        yield client


def ask(client: httpx.Client, authorization: str | bytes) -> httpx.Response:
    raw = authorization.encode("latin-1") if isinstance(authorization, str) else authorization
    headers = [(b"Authorization", raw)]
    return client.post("/score/update", json={"userId": "ann", "increment": 1}, headers=headers)


def assert_refused(answer: httpx.Response, name: str) -> None:
    assert answer.status_code == 401, f"{name}: {answer.status_code} {answer.text}"
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="scoreboard", error="invalid_token"', name
    assert answer.json()["code"] == "unauthorized", name


def test_every_forged_token_is_a_401_and_leads_nowhere(client, pool, capsys):
    began = time.monotonic()
    with Pool() as trap:
        threading.Thread(target=trap.serve_forever, args=(0.02,), daemon=True).start()
        tokens = forged(trap.url)
        for name, each in tokens.items():
            assert_refused(ask(client, b"Bearer " + each.encode()), name)
        for number in range(FLOOD):
            kid = f"lure-{number}-{secrets.token_hex(4)}"
            assert_refused(ask(client, f"Bearer {rs256(HEADER | {'kid': kid}, {}, OTHER)}"), kid)
        assert ask(client, f"Bearer {token()}").status_code == 200
        assert trap.fetches == 0
        trap.shutdown()
    seconds = time.monotonic() - began
    assert pool.fetches <= 1 + seconds / REFETCH_S
    assert stage.table()["ann"].score == 1
    with capsys.disabled():
        tried = len(tokens) + FLOOD
        print(f"\ntokens: {tried} tried, {tried} refused, {pool.fetches} key fetches in {seconds:.0f} s")


def test_the_mistake_is_named_to_owners_of_valid_tokens_only(client):
    id_token = {"token_use": "id", "aud": "web", "client_id": None}
    answer = ask(client, f"Bearer {token(**id_token)}")
    assert_refused(answer, "ID token")
    assert answer.json()["detail"] == "This is an ID token. Send the access token instead."
    forged_token = ask(client, f"Bearer {token(key=OTHER, **id_token)}")
    assert forged_token.json()["detail"] == "The access token is not valid."


def test_a_username_in_place_of_the_sub_is_named(client):
    own = token(sub="4f2a-91c0", username="ann")
    answer = ask(client, f"Bearer {own}")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert (
        answer.json()["detail"] == "The userId is the username of your token. Send the token's sub instead."
    )
    other = client.post(
        "/score/update",
        json={"userId": "bob", "increment": 1},
        headers={"Authorization": f"Bearer {own}"},
    )
    assert other.json()["detail"] == "You may not change this player's score."


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer",
        "bearer x y",
        b"Bearer \xff\xfe",
        "Bearer " + "é",
        "BEARER a.b.c",
        b"Bearer\ta.b.c",
    ],
)
def test_odd_headers_are_a_401(client, authorization):
    assert_refused(ask(client, authorization), repr(authorization))


@pytest.mark.parametrize("authorization", ["", "Basic YTpi", b"\xff\xfe x", "Bear", "Negotiate a b c"])
def test_other_schemes_get_a_challenge_for_bearer(client, authorization):
    answer = ask(client, authorization)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="scoreboard"'


def test_two_authorization_headers_are_refused(client):
    headers = [("Authorization", f"Bearer {token()}")] * 2
    answer = client.get("/score/me", headers=headers)
    assert_refused(answer, "two lines")


def test_clocks_may_differ_by_the_leeway(client):
    now = int(time.time())
    assert ask(client, f"Bearer {token(exp=now - 25)}").status_code == 200
    assert ask(client, f"Bearer {token(iat=now + 25, nbf=now + 25)}").status_code == 200
