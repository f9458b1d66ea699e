"""Who may speak: roles, scopes of methods, and the tokens by which a service of one installation knows another.

The tokens of attempts are another matter: `theory.wire.attempts`.
"""

import hmac
import os
import secrets
import stat
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, Self, TypeAlias

from blake3 import blake3

from theory.core.errors import Denied, Invalid, NotFound, Unauthenticated
from theory.core.grant import AttemptGrant


class Role(StrEnum):
    """What a caller is. Services are named; a processor that runs is an attempt; everything else is a client."""

    CLIENT = "client"
    REGISTRY = "registry"
    EXECUTOR = "executor"
    ARTIFACTS = "artifacts"
    RESOURCES = "resources"
    LEDGER = "ledger"
    ATTEMPT = "attempt"


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose identity was proven."""

    role: Role
    grant: AttemptGrant | None = None
    """Which attempt it is, and what it may do; None for everyone who is no attempt."""

    def __post_init__(self) -> None:
        if (self.role is Role.ATTEMPT) is (self.grant is None):
            raise ValueError("an attempt has a grant, and nobody else has")


class AttemptVerifier(Protocol):
    """Knows the tokens of attempts."""

    def verify(self, token: str) -> Principal:
        """The attempt that `token` speaks for; `Unauthenticated` where it speaks for none, or no longer."""
        ...


Scope: TypeAlias = frozenset[Role]
"""The roles that may call a method."""

ANYONE: Scope = frozenset(Role) - {Role.ATTEMPT}
"""Every caller whom the installation's own key proves: all but attempts, which may do nothing unless they are named."""
WITH_ATTEMPTS: Scope = frozenset(Role)
"""Attempts, too: the service behind the method holds every request of theirs against their grant."""
SERVICES: Scope = ANYONE - {Role.CLIENT}
"""Services of this installation only."""


def only(*roles: Role) -> Scope:
    """The scope of exactly these roles."""
    return frozenset(roles)


_KEY_FILE = "service.key"
_KEY_BYTES = 32
_TOKEN_CONTEXT = b"theory/v1/token\0"
_TOKEN_PREFIX = "theory-v1"  # noqa: S105 - what every token begins with
KEYED_TOKEN = f"{_TOKEN_PREFIX}."
"""What tells a token of `ServiceKeys` from one of an attempt."""


class ServiceKeys:
    """The secret of one installation, and the tokens of its roles.

    A token is the role and a keyed hash of it: whoever can read the key file is the installation, nobody else is.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != _KEY_BYTES:
            raise Invalid("CONFIG_INVALID", f"a service key has {_KEY_BYTES} bytes")
        self._token_by_role = {
            role: f"{_TOKEN_PREFIX}.{role}.{blake3(_TOKEN_CONTEXT + role.encode(), key=key).hexdigest()}"
            for role in ANYONE
        }
        self._by_role = {role.value: (token.encode(), Principal(role)) for role, token in self._token_by_role.items()}

    @classmethod
    def fresh(cls) -> Self:
        """Keys that no file holds and no other process knows."""
        return cls(secrets.token_bytes(_KEY_BYTES))

    @classmethod
    def load(cls, home: Path) -> Self:
        """The keys of `home`; `NotFound` where none were made, `Denied` where others could read the file."""
        return cls(_read(home / _KEY_FILE))

    @classmethod
    def load_or_create(cls, home: Path) -> Self:
        """The keys of `home`, made on first use. Processes that start at once all get the same."""
        path = home / _KEY_FILE
        if not path.exists():
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            _create(path, secrets.token_bytes(_KEY_BYTES))
        return cls(_read(path))

    def token_of(self, role: Role) -> str:
        """The bearer token of `role`. It is a secret. Attempts have none: theirs are signed by the executor."""
        return self._token_by_role[role]

    def verify(self, token: str) -> Principal:
        """Who holds `token`; `Unauthenticated` (`TOKEN_INVALID`) for a token that is not of this installation."""
        parts = token.split(".", 2)
        expected = self._by_role.get(parts[1]) if len(parts) > 1 else None
        if expected is None or not hmac.compare_digest(expected[0], token.encode("utf-8", "replace")):
            raise Unauthenticated("TOKEN_INVALID", "the token is not of this installation")
        return expected[1]

    def __repr__(self) -> str:
        return "ServiceKeys(...)"


def _proof(role: Role, key: bytes) -> str:
    return blake3(_TOKEN_CONTEXT + role.encode(), key=key).hexdigest()


def _create(path: Path, key: bytes) -> None:
    """Put `key` at `path` whole, unless a file is there: a reader never sees half of one."""
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # 0600 and O_EXCL
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # fails where the name exists: this is the commit point
        except FileExistsError:
            return
    finally:
        Path(draft).unlink()


def _read(path: Path) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(
            "FILE_UNKNOWN", "this home has no service key yet: start a service first", source=str(path)
        ) from None
    except PermissionError:
        raise Denied("FILE_NOT_PRIVATE", "the service key belongs to another user", path=str(path)) from None
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid not in (os.geteuid(), 0):
            raise Denied("FILE_NOT_PRIVATE", f"others can read the service key: chmod 600 {path}", path=str(path))
        key = file.read(_KEY_BYTES + 1)
    if len(key) != _KEY_BYTES:
        raise Invalid("CONFIG_INVALID", f"this is no service key: remove {path}, and the next start makes one")
    return key
