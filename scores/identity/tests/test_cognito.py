"""A real Cognito emulator: sign-up, sign-in, the site's own server, new keys, and an outage."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import botocore.session
import httpx
import pytest

from scores.identity.keyset import REFETCH_S
from scores.identity.machine_client import fetch_token
from scores.identity.verifier import CognitoVerifier, KeySet, TokenError
from tools.devstack.processes.cognito import start_cognito
from tools.devstack.processes.part import Part
from tools.testing import stage
from tools.testing.processes import server

PASSWORD = "Correct-h0rse-battery"


class Pool:
    """A user pool as the deployment makes it: a client for the page, one for the site's own server."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.idp: Any = botocore.session.get_session().create_client(
            "cognito-idp",
            region_name="us-east-1",
            endpoint_url=part.url,
            aws_access_key_id="x",
            aws_secret_access_key="x",
        )
        self.id = self.idp.create_user_pool(PoolName="players")["UserPool"]["Id"]
        self.issuer = f"https://cognito-idp.us-east-1.amazonaws.com/{self.id}"
        self.keys_url = f"{part.url}/{self.id}/.well-known/jwks.json"
        self.idp.create_resource_server(
            UserPoolId=self.id,
            Identifier="scoreboard",
            Name="scoreboard",
            Scopes=[{"ScopeName": "score.write", "ScopeDescription": "raise any player's score"}],
        )
        self.web = self._client("web", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"])["ClientId"]
        self.machine = self._client(
            "machine",
            GenerateSecret=True,
            AllowedOAuthFlowsUserPoolClient=True,
            AllowedOAuthFlows=["client_credentials"],
            AllowedOAuthScopes=["scoreboard/score.write"],
        )

    def _client(self, name: str, **options: Any) -> Any:
        made = self.idp.create_user_pool_client(UserPoolId=self.id, ClientName=name, **options)
        return made["UserPoolClient"]

    def sign_up(self, email: str) -> str:
        """The new user's `sub`."""
        made = self.idp.sign_up(ClientId=self.web, Username=email, Password=PASSWORD)
        self.idp.admin_confirm_sign_up(UserPoolId=self.id, Username=email)
        return str(made["UserSub"])

    def sign_in(self, email: str) -> dict[str, str]:
        """AccessToken and IdToken."""
        parameters = {"USERNAME": email, "PASSWORD": PASSWORD}
        done = self.idp.initiate_auth(
            ClientId=self.web, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=parameters
        )
        result: dict[str, str] = done["AuthenticationResult"]
        return result

    def machine_token(self) -> str:
        client = self.machine["ClientId"], self.machine["ClientSecret"]
        return fetch_token(f"{self.part.url}/oauth2/token", *client, scope="scoreboard/score.write")

    def verifier(self, clock: Any = None) -> CognitoVerifier:
        keys = KeySet(self.keys_url, clock) if clock else KeySet(self.keys_url)
        return CognitoVerifier(keys, self.issuer, frozenset({self.web, self.machine["ClientId"]}), 30)


@pytest.fixture(scope="module")
def cognito() -> Iterator[Part]:
    part = start_cognito()
    yield part
    part.stop()


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return claims


def test_access_tokens_identify_players_and_the_sites_server(cognito):
    pool = Pool(cognito)
    subject = pool.sign_up("ann@example.com")
    tokens = pool.sign_in("ann@example.com")
    found = pool.verifier().validate(tokens["AccessToken"])
    assert (found.subject, found.client_id, found.is_server) == (subject, pool.web, False)
    with pytest.raises(TokenError, match="not an access token"):
        pool.verifier().validate(tokens["IdToken"])
    machine = pool.verifier().validate(pool.machine_token())
    assert machine.is_server and machine.client_id == pool.machine["ClientId"]
    stranger = Pool(cognito)
    stranger.sign_up("ann@example.com")
    with pytest.raises(TokenError):
        pool.verifier().validate(stranger.sign_in("ann@example.com")["AccessToken"])


def test_new_keys_are_found_and_old_keys_outlive_the_pool(cognito):
    now = [1000.0]
    pool = Pool(cognito)
    pool.sign_up("ann@example.com")
    old = pool.sign_in("ann@example.com")["AccessToken"]
    verifier = pool.verifier(lambda: now[0])
    verifier.validate(old)
    cognito.kill()
    now[0] += REFETCH_S
    verifier.validate(old)
    cognito.start()
    cognito.wait_ready()
    fresh = Pool(cognito)  # the emulator forgets its pools, and has new keys
    fresh.sign_up("ann@example.com")
    token = fresh.sign_in("ann@example.com")["AccessToken"]
    renewed = CognitoVerifier(verifier._keys, fresh.issuer, frozenset({fresh.web}), 30)
    verifier._keys._url = fresh.keys_url
    with pytest.raises(TokenError):
        renewed.validate(token[:-8] + "AAAAAAAA")
    assert renewed.validate(token).subject == claims_of(token)["sub"]
    with pytest.raises(TokenError):
        verifier.validate(old)  # signed with a key that is not the pool's any more


def test_a_signed_in_player_scores(stores, cognito):
    pool = Pool(cognito)
    ann, bob = pool.sign_up("ann@example.com"), pool.sign_up("bob@example.com")
    tokens = pool.sign_in("ann@example.com")
    clients = f"{pool.web},{pool.machine['ClientId']}"
    with server(
        COGNITO_USER_POOL=pool.id,
        COGNITO_AWS_REGION="us-east-1",
        COGNITO_CLIENT_IDS=clients,
        COGNITO_KEYSET_URL=pool.keys_url,
    ) as part:

        def update(token: str, user_id: str) -> int:
            headers = {"Authorization": f"Bearer {token}"}
            body = {"userId": user_id, "increment": 5}
            return httpx.post(f"{part.url}/score/update", json=body, headers=headers, timeout=10).status_code

        assert update(tokens["AccessToken"], ann) == 200
        assert update(tokens["AccessToken"], bob) == 403
        assert update(tokens["IdToken"], ann) == 401
        assert update(pool.machine_token(), bob) == 200
        cognito.kill()
        assert update(tokens["AccessToken"], ann) == 200
        cognito.start()
        cognito.wait_ready()
    assert {user_id: player.score for user_id, player in stage.table().items()} == {ann: 10, bob: 5}


def test_a_server_starts_without_cognito_and_recovers(stores, cognito):
    pool = Pool(cognito)
    ann = pool.sign_up("ann@example.com")
    token = pool.sign_in("ann@example.com")["AccessToken"]
    settings = {"COGNITO_USER_POOL": pool.id, "COGNITO_AWS_REGION": "us-east-1"}
    with server(
        COGNITO_CLIENT_IDS=pool.web, COGNITO_KEYSET_URL="http://127.0.0.1:1/jwks.json", **settings
    ) as part:
        answer = httpx.get(f"{part.url}/score/me", headers={"Authorization": f"Bearer {token}"}, timeout=10)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
        assert httpx.get(f"{part.url}/score/top10").status_code == 200
    with server(COGNITO_CLIENT_IDS=pool.web, COGNITO_KEYSET_URL=pool.keys_url, **settings) as part:
        answer = httpx.get(f"{part.url}/score/me", headers={"Authorization": f"Bearer {token}"}, timeout=10)
        assert answer.json()["userId"] == ann
