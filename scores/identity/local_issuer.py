"""A token issuer for development: a key pair in the data folder signs tokens with Cognito's claims.

It works only with DEBUG on, because the key lets its reader sign in as anybody. Imports nothing of ours.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
import uuid
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

LIFETIME_S = 24 * 3600
CLIENT_ID = "local"


def ensure_key() -> Path:
    """The folder with the key pair, which is made if it is missing. Raises ImproperlyConfigured."""
    if not settings.LOCAL_ISSUER:
        raise ImproperlyConfigured("The local issuer works only with DEBUG on and no COGNITO_USER_POOL.")
    folder: Path = settings.DATA_DIR / "issuer"
    if not (folder / "jwks.json").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".issuer-", dir=folder.parent))
        _write_key(made)
        try:
            made.rename(folder)
        except OSError:  # another process made one meanwhile; use its key
            for file in made.iterdir():
                file.unlink()
            made.rmdir()
    return folder


def _write_key(folder: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    jwks = {"keys": [public | {"kid": uuid.uuid4().hex, "alg": "RS256", "use": "sig"}]}
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with os.fdopen(os.open(folder / "private.pem", os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
        file.write(pem)
    (folder / "jwks.json").write_text(json.dumps(jwks))


def mint(subject: str, scope: str = "", lifetime_s: int = LIFETIME_S) -> str:
    """An access token for `subject` with the claims of Cognito's. Raises ImproperlyConfigured."""
    folder = ensure_key()
    kid = json.loads((folder / "jwks.json").read_text())["keys"][0]["kid"]
    now = int(time.time())
    claims = {
        "sub": subject,
        "iss": settings.COGNITO_ISSUER,
        "client_id": CLIENT_ID,
        "token_use": "access",
        "scope": scope,
        "iat": now,
        "exp": now + lifetime_s,
        "jti": str(uuid.uuid4()),
    }
    return jwt.encode(claims, (folder / "private.pem").read_text(), algorithm="RS256", headers={"kid": kid})
