"""Tokens of attempts: JWTs that the executor signs, known again by a service that holds its public keys.

Whoever serves attempts imports this module; it needs PyJWT and cryptography, which the library itself does not.
"""

import base64
import binascii
import logging
import os
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jwt
from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jwt.types import Options

from theory.core import jcs
from theory.core.clock import Clock
from theory.core.document import Fields
from theory.core.errors import Denied, TheoryError, Unauthenticated
from theory.core.grant import MAX_TOKEN_BYTES, MAX_TOKEN_LIFE_S, TOKEN_ISSUER, TOKEN_TYPE, AttemptGrant
from theory.wire.identity import Principal, Role

LEEWAY_S = 5
"""By how many seconds the clocks of executor and service may differ."""
RELOAD_S = 2.0
"""How often, in seconds, the file of public keys is looked at again, at most."""
MAX_KNOWN = 4_096
"""How many tokens are remembered as verified."""

_log = logging.getLogger(__name__)

_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86}").fullmatch
_HEADER = frozenset({"alg", "kid", "typ"})
_OPTIONS: Options = {
    "require": ["iss", "aud", "sub", "iat", "exp", "jti"],
    # Times are held against the clock that came in through the constructor.
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
}
_MAX_KEYS_BYTES = 64 * 1024
_MAX_TIME = 2**40
_WRITABLE_BY_OTHERS = 0o022


@dataclass(frozen=True, slots=True)
class _Known:
    """A token that was verified."""

    principal: Principal
    issued: int
    expires: int
    """Seconds since 1970; the first one in which it no longer holds."""


class AttemptTokens:
    """Verifies the tokens of attempts for one service. A token is verified once, then known until it expires.

    What is taken is narrow: EdDSA with Ed25519 and nothing else, a key of the file that `kid` names and never one that
    the token brings, this service in `aud`, a life of at most 60 seconds. Clocks may differ by `LEEWAY_S`.
    """

    def __init__(self, keys: Path, *, audience: str, clock: Clock) -> None:
        """Read the public keys (a JWKS) from `keys` when the first token comes: the file may be made later."""
        self._keys = _KeyFile(keys, clock)
        self._audience = audience
        self._clock = clock
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    def verify(self, token: str) -> Principal:
        """The attempt that `token` speaks for.

        `Unauthenticated`: `TOKEN_INVALID` for anything that no executor of this installation signed for an attempt;
        `TOKEN_AUDIENCE` where it is for other services; `TOKEN_EARLY`; `TOKEN_EXPIRED`.
        """
        if len(token) > MAX_TOKEN_BYTES:
            raise _invalid("the token is longer than any of an attempt")
        try:
            name = blake3(token.encode("ascii")).digest()
        except UnicodeEncodeError:
            raise _invalid("the token is no token of an attempt") from None
        known = self._known.get(name)
        if known is None:
            known = self._verified(token)
        self._require_time(known)
        self._known[name] = known
        self._known.move_to_end(name)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return known.principal

    def _verified(self, token: str) -> _Known:
        claims = self._claims(token)
        try:
            issued, expires = claims.whole("iat", 0, high=_MAX_TIME), claims.whole("exp", 0, high=_MAX_TIME)
            grant = AttemptGrant.from_claims(dict(claims.document))
        except TheoryError as error:
            raise _invalid("the token does not say which attempt it is for") from error
        if not 0 < expires - issued <= MAX_TOKEN_LIFE_S:
            raise _invalid(f"a token holds for at most {MAX_TOKEN_LIFE_S} seconds")
        return _Known(Principal(Role.ATTEMPT, grant), issued, expires)

    def _claims(self, token: str) -> Fields:
        """What the token says, once its signature is known to be good."""
        if _FORM(token) is None or not _is_canonical(token.rpartition(".")[2]):
            raise _invalid("the token is no token of an attempt")
        try:
            header = jwt.get_unverified_header(token)
            if header.keys() != _HEADER or header["alg"] != "EdDSA" or header["typ"] != TOKEN_TYPE:
                raise _invalid("the token is no token of an attempt")
            claims = jwt.decode(
                token,
                self._keys.key(header["kid"]),
                algorithms=["EdDSA"],
                audience=self._audience,
                issuer=TOKEN_ISSUER,
                options=_OPTIONS,
            )
        except jwt.InvalidAudienceError:
            raise Unauthenticated("TOKEN_AUDIENCE", "the token is for other services") from None
        except (jwt.PyJWTError, ValueError) as error:
            # ValueError: header or claims of a shape that the library does not expect.
            raise _invalid("the token is not signed by an executor of this installation") from error
        return Fields(claims, reason="FIELD_INVALID")

    def _require_time(self, known: _Known) -> None:
        now = self._clock.now().timestamp()
        if now >= known.expires + LEEWAY_S:
            raise Unauthenticated("TOKEN_EXPIRED", "the token has expired: get the attempt's next one")
        if now < known.issued - LEEWAY_S:
            raise Unauthenticated("TOKEN_EARLY", "the token was issued in the future: a clock is wrong")


class _KeyFile:
    """The public keys of the executors, from a file that another process writes.

    It is looked at when a token is not known yet, and not more often than every `RELOAD_S`: a key that came or went is
    noticed within that time. A file that cannot be used leaves the keys that were there.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._key_by_id: Mapping[str, Ed25519PublicKey] = {}
        self._looked: float | None = None
        self._stamp: tuple[int, int, int] | None = None

    def key(self, kid: object) -> Ed25519PublicKey:
        """The key of that id; `Unauthenticated` (`TOKEN_INVALID`)."""
        now = self._clock.monotonic()
        if self._looked is None or now - self._looked >= RELOAD_S:
            self._looked = now
            self._look()
        key = self._key_by_id.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise _invalid("the token is not signed by an executor of this installation")
        return key

    def _look(self) -> None:
        try:
            status = self._path.stat()
            stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
            if stamp != self._stamp:
                _refuse_writable(status.st_mode, status.st_uid)
                with self._path.open("rb") as file:
                    self._key_by_id, self._stamp = _keys_of(file.read(_MAX_KEYS_BYTES + 1)), stamp
        except FileNotFoundError:
            self._key_by_id, self._stamp = {}, None
        except (OSError, TheoryError, ValueError):
            _log.exception("attempt_keys.unusable", extra={"theory_fields": {"file": self._path.name}})


def _refuse_writable(mode: int, owner: int) -> None:
    if mode & _WRITABLE_BY_OTHERS or owner not in (os.geteuid(), 0):
        raise Denied("FILE_NOT_PRIVATE", "others could put keys of their own into the file of public keys")


def _keys_of(text: bytes) -> Mapping[str, Ed25519PublicKey]:
    """The Ed25519 keys of a JWKS (RFC 7517, RFC 8037), by id; keys of other kinds are passed over."""
    keys: dict[str, Ed25519PublicKey] = {}
    for each in Fields(jcs.parse_object(text, max_bytes=_MAX_KEYS_BYTES), reason="JSON_INVALID").objects("keys"):
        if (each.get("kty", str, ""), each.get("crv", str, "")) == ("OKP", "Ed25519"):
            keys[each.need("kid", str)] = Ed25519PublicKey.from_public_bytes(_decoded(each.need("x", str)))
    return keys


def _is_canonical(signature: str) -> bool:
    """Whether the bytes have no other spelling: decoders pass over the last bits, so that two texts would be one."""
    try:
        return base64.urlsafe_b64encode(_decoded(signature)).rstrip(b"=").decode() == signature
    except binascii.Error:
        return False


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _invalid(sentence: str) -> Unauthenticated:
    return Unauthenticated("TOKEN_INVALID", sentence)
