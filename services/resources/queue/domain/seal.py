"""Handles that fit their own plan, topic and side of it alone."""

import hmac
from typing import NamedTuple

from blake3 import blake3

from theory.core.errors import Invalid

_SEAL_CONTEXT = "theory/v1/receipt-handle"
_SEAL_BYTES = 16
_MAX_HANDLE_CHARACTERS = 4_096
_DEAD = "dead!"


class Opened(NamedTuple):
    """What a sealed handle holds."""

    handle: str
    dead_letters: bool


class Sealer:
    """Makes the seals of one installation. Handles given out under another key are invalid."""

    def __init__(self, key: bytes) -> None:
        self._key = blake3(key, derive_key_context=_SEAL_CONTEXT).digest()

    def of(self, plan_id: str, topic: str) -> "Seal":
        """The seal of one topic."""
        return Seal(self._key, plan_id, topic)


class Seal:
    """Binds the handles of a store to their plan, topic and side, so that none works anywhere else."""

    def __init__(self, key: bytes, plan_id: str, topic: str) -> None:
        self._key = key
        self._where = f"{plan_id}\0{topic}\0"  # neither holds a NUL: no two places read alike

    def put_on(self, handle: str, *, dead_letters: bool) -> str:
        """The handle as it goes out."""
        if dead_letters:
            handle = _DEAD + handle
        return f"{handle}.{self._proof(handle)}"

    def take_off(self, sealed: str) -> Opened | Invalid:
        """The handle of the store; `Invalid` where it never went out for this place."""
        if len(sealed) <= _MAX_HANDLE_CHARACTERS:
            handle, _, proof = sealed.rpartition(".")
            if hmac.compare_digest(self._proof(handle).encode(), proof.encode()):
                return Opened(handle.removeprefix(_DEAD), handle.startswith(_DEAD))
        return Invalid("RECEIPT_INVALID", "not a handle of this plan and topic")

    def _proof(self, handle: str) -> str:
        return blake3((self._where + handle).encode(), key=self._key).hexdigest(length=_SEAL_BYTES)
