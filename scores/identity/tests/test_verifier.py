"""Which tokens are accepted. Keys and signatures are real; a real HTTP server serves the key set."""

from __future__ import annotations

import http.server
import json
import threading
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from scores.identity.verifier import (
    REFETCH_S,
    WRITE_SCOPE,
    CognitoVerifier,
    KeySet,
    KeysUnavailable,
    TokenError,
    WrongToken,
    issuer_forms,
)
from tools.testing.clock import Clock

ISSUER = "https://issuer.test/pool"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Pool(http.server.ThreadingHTTPServer):
    """A key endpoint that counts its requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.keys = {"one": KEY}
        self.status = 200
        self.fetches = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/jwks.json"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Pool

    def do_GET(self) -> None:
        self.server.fetches += 1
        jwk = jwt.algorithms.RSAAlgorithm.to_jwk
        keys = [jwk(key.public_key(), as_dict=True) | {"kid": kid} for kid, key in self.server.keys.items()]
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(json.dumps({"keys": keys}).encode())

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def pool():
    with Pool() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def verifier(pool, clock):
    return CognitoVerifier(KeySet(pool.url, clock), ISSUER, frozenset({"web"}), 30)


def token(key=KEY, kid="one", headers=(), **changes):
    now = int(time.time())
    claims = {
        "sub": "ann",
        "iss": ISSUER,
        "client_id": "web",
        "token_use": "access",
        "scope": "openid",
        "iat": now,
        "exp": now + 60,
    } | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": kid} | dict(headers))


def test_an_access_token_identifies_the_caller(verifier):
    found = verifier.validate(token(scope=f"openid {WRITE_SCOPE}").encode())
    assert (found.subject, found.client_id) == ("ann", "web")
    assert found.may_write_for("bob") and found.expires_at > time.time()
    assert not verifier.validate(token()).may_write_for("bob")


NOW = int(time.time())
REFUSED = {
    "an ID token": token(token_use="id"),
    "no token_use": token(token_use=None),
    "another client": token(client_id="other"),
    "no client": token(client_id=None),
    "an odd client": token(client_id=["web"]),
    "another pool": token(iss="https://issuer.test/other"),
    "expired": token(exp=NOW - 31),
    "no expiry": token(exp=None),
    "an odd expiry": token(exp="soon"),
    "an endless expiry": token(exp=10**400),
    "issued in the future": token(iat=NOW + 120),
    "not yet valid": token(nbf=NOW + 120),
    "no issue time": token(iat=None),
    "no subject": token(sub=None),
    "an odd subject": token(sub=7),
    "an odd scope": token(scope=["scoreboard/score.write"]),
    "another key under a known id": token(key=OTHER),
    "an unknown key id": token(kid="two"),
    "critical extensions": token(headers={"crit": ["exp"]}),
    "its own key": token(key=OTHER, headers={"jku": "http://127.0.0.1:1/"}),
    "no signature": jwt.encode({"sub": "ann"}, "", algorithm="none", headers={"kid": "one"}),
    "a signature cut off": token().rsplit(".", 1)[0] + ".",
    "HS256": jwt.encode({"sub": "ann"}, "x" * 32, algorithm="HS256", headers={"kid": "one"}),
    "PS256": jwt.encode({"sub": "ann"}, KEY, algorithm="PS256", headers={"kid": "one"}),
    "no key id": jwt.encode({"sub": "ann"}, KEY, algorithm="RS256"),
    "not a token": "a.b.c",
    "nothing": "",
    "far too long": "a" * 100_000,
    "bytes outside ASCII": "é".encode(),
}


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED.keys())
def test_other_tokens_are_refused(verifier, refused):
    with pytest.raises(TokenError):
        verifier.validate(refused)


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"token_use": "id", "aud": "web", "client_id": None}, "This is an ID token. Send the access token"),
        ({"sub": None, "username": "ann"}, "has no sub; its username is not a user id"),
        ({"sub": "auth0|123"}, "'|' is none of them"),
        ({"sub": ".."}, "but not . or .."),
        ({"client_id": "other"}, "an app client that is not accepted here"),
    ],
)
def test_a_validly_signed_token_is_refused_with_the_mistake(verifier, changes, detail):
    with pytest.raises(WrongToken) as refused:
        verifier.validate(token(**changes))
    assert detail in refused.value.detail
    with pytest.raises(TokenError) as forged:
        verifier.validate(token(key=OTHER, **changes))
    assert not isinstance(forged.value, WrongToken)


POOL = "cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab12Cd34E"


@pytest.mark.parametrize("configured", [f"https://{POOL}", f"https://issuer-{POOL}"])
@pytest.mark.parametrize("host", ["", "issuer-", "issuer."])
def test_every_issuer_form_of_the_pool_counts(pool, configured, host):
    verifier = CognitoVerifier(KeySet(pool.url), configured, frozenset({"web"}), 30)
    assert verifier.validate(token(iss=f"https://{host}{POOL}")).subject == "ann"


@pytest.mark.parametrize(
    "issuer",
    [
        f"https://{POOL}F",
        f"https://issuer-{POOL}/",
        f"http://{POOL}",
        f"https://evil-{POOL}",
        f"https://issuer-{POOL}".replace("central-1", "west-1", 1),
        f"https://issuer-{POOL}".replace("amazonaws", "evil"),
    ],
)
def test_the_issuer_of_another_pool_is_refused(pool, issuer):
    verifier = CognitoVerifier(KeySet(pool.url), f"https://{POOL}", frozenset({"web"}), 30)
    with pytest.raises(TokenError):
        verifier.validate(token(iss=issuer))


def test_an_issuer_outside_cognito_has_one_form():
    assert issuer_forms("https://issuer.test/pool") == ["https://issuer.test/pool"]


def test_a_thousand_unknown_keys_cost_one_fetch_in_thirty_seconds(verifier, pool, clock):
    for number in range(1000):
        with pytest.raises(TokenError):
            verifier.validate(token(kid=f"k{number}"))
    assert pool.fetches == 1
    clock.now += REFETCH_S
    with pytest.raises(TokenError):
        verifier.validate(token(kid="k"))
    assert pool.fetches == 2


def test_a_new_key_is_accepted_and_old_keys_stay(verifier, pool, clock):
    verifier.validate(token())
    clock.now += REFETCH_S
    pool.status = 500
    pool.keys = {}
    with pytest.raises(TokenError):
        verifier.validate(token(key=OTHER, kid="two"))
    verifier.validate(token())
    pool.status, pool.keys = 200, {"two": OTHER}
    clock.now += REFETCH_S
    verifier.validate(token(key=OTHER, kid="two"))


def test_without_any_key_the_verifier_is_unavailable(pool, clock):
    pool.status = 500
    pool.keys = {}
    with pytest.raises(KeysUnavailable):
        CognitoVerifier(KeySet(pool.url, clock), ISSUER, frozenset({"web"}), 30).validate(token())
