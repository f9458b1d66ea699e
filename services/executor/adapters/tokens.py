"""Signing the tokens of attempts with an Ed25519 key of this home, and publishing its public half."""

import asyncio
import base64
import hashlib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.drivers import key_file
from services.executor.ports.token import AttemptToken
from theory.core import jcs
from theory.core.clock import Clock
from theory.core.errors import Corrupt, Invalid, TheoryError
from theory.core.grant import (
    MAX_TOKEN_BYTES,
    MAX_TOKEN_LIFE_S,
    TOKEN_AUDIENCES,
    TOKEN_ISSUER,
    TOKEN_TYPE,
    AttemptGrant,
)
from theory.core.ids import IdSource
from theory.core.jcs import JSON
from theory.core.secret import Secret

MAX_KEYS = 8
"""How many public keys the file keeps: this one and those before it."""

_ID_BYTES = 16


class KeySigner:
    """`Signer` with a key in a private file, made at the first token: who gives none to anybody has none.

    The public half joins the JWKS file before the first token is out. A key whose file is removed is replaced at the
    next start; those before it stay in the JWKS, so that tokens under way hold, until the file is removed, too.
    """

    def __init__(self, key: Path, published: Path, *, clock: Clock, ids: IdSource) -> None:
        self._path = key
        self._published = published
        self._clock = clock
        self._ids = ids
        self._key: tuple[str, Ed25519PrivateKey] | None = None
        self._opening = asyncio.Lock()

    async def sign(self, grant: AttemptGrant) -> AttemptToken:
        """As the port says."""
        if self._key is None:
            async with self._opening:
                if self._key is None:
                    self._key = await asyncio.to_thread(_opened, self._path, self._published)
        kid, key = self._key
        now = self._clock.now().replace(microsecond=0)
        issued = int(now.timestamp())
        claims = grant.to_claims() | {
            "iss": TOKEN_ISSUER,
            "aud": list(TOKEN_AUDIENCES),
            "iat": issued,
            "exp": issued + MAX_TOKEN_LIFE_S,
            "jti": self._ids.token_hex(_ID_BYTES),
        }
        # About 60 us: a thread would cost more than it frees.
        token = jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": kid, "typ": TOKEN_TYPE})
        if len(token) > MAX_TOKEN_BYTES:
            message = "the write set and topics of the attempt do not fit into a token"
            raise Invalid("TOKEN_TOO_LARGE", message, max_bytes=str(MAX_TOKEN_BYTES))
        return AttemptToken(Secret("attempt token", token), now + timedelta(seconds=MAX_TOKEN_LIFE_S))


def _opened(path: Path, published: Path) -> tuple[str, Ed25519PrivateKey]:
    key = Ed25519PrivateKey.from_private_bytes(key_file.load_or_create(path))
    public = _text(key.public_key().public_bytes_raw())
    # The id of a key is what is made of it (RFC 7638), so that no two installations ever give one to two keys.
    required: dict[str, JSON] = {"crv": "Ed25519", "kty": "OKP", "x": public}
    kid = _text(hashlib.sha256(jcs.canonical(required)).digest())
    _publish(published, {**required, "alg": "EdDSA", "kid": kid, "use": "sig"})
    return kid, key


def _publish(path: Path, key: Mapping[str, JSON]) -> None:
    """Put `key` before the others in the file, whole: a reader sees the file of before or this one."""
    others = [each for each in _published(path) if each.get("kid") != key["kid"]]
    text = jcs.canonical({"keys": [dict(key), *others[: MAX_KEYS - 1]]})
    key_file.replace(path, text, mode=0o644)  # services of other users read it, too


def _published(path: Path) -> list[dict[str, JSON]]:
    try:
        keys = jcs.parse_object(path.read_bytes()).get("keys")
    except FileNotFoundError:
        return []
    except TheoryError as error:
        raise Corrupt("STORE_CORRUPT", f"{path.name} is no JWKS: remove it, and a new one is made") from error
    return [each for each in keys if isinstance(each, dict)] if isinstance(keys, list) else []


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
