"""What secrets promise, wherever their values lie: names for everyone, tags that tell nothing but a change."""

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from blake3 import blake3

from services.resources.secrets.ports import MAX_ITEMS, MAX_NAME_CHARACTERS, SecretSource
from theory.core.errors import Invalid, NotFound, TheoryError, shown
from theory.core.secret import Secret

_Answer = TypeVar("_Answer")

_is_name = re.compile(rf"[A-Za-z_][A-Za-z0-9_]{{0,{MAX_NAME_CHARACTERS - 1}}}").fullmatch

_TAG_CONTEXT = "theory/v1/secret-tag"


class Secrets:
    """Answers per name: `Invalid` (`SECRET_NAME_INVALID`), `NotFound` (`SECRET_UNKNOWN`), or what was asked for.

    `key` makes the tags: under another key every tag is another.
    """

    def __init__(self, source: SecretSource, *, key: bytes) -> None:
        self._source = source
        self._key = blake3(key, derive_key_context=_TAG_CONTEXT).digest()

    async def check(self, names: Sequence[str]) -> list[str | TheoryError]:
        """The tag of each. Equal values of two names have two tags."""
        return await self._each(names, self._tag)

    async def resolve(self, names: Sequence[str]) -> list[Secret | TheoryError]:
        """The value of each."""
        return await self._each(names, lambda secret: secret)

    async def _each(self, names: Sequence[str], answer: Callable[[Secret], _Answer]) -> list[_Answer | TheoryError]:
        if not 0 < len(names) <= MAX_ITEMS:
            raise Invalid("BATCH_SIZE", f"a batch has 1 to {MAX_ITEMS} names", max=str(MAX_ITEMS))
        sound = [name for name in names if _is_name(name)]
        secrets = await self._source.read(sound) if sound else {}
        return [answer(secrets[name]) if name in secrets else _fault(name) for name in names]

    def _tag(self, secret: Secret) -> str:
        # A name holds no NUL: no two secrets read alike.
        return blake3(f"{secret.name}\0{secret.reveal()}".encode(), key=self._key).hexdigest()


def _fault(name: str) -> TheoryError:
    if _is_name(name):
        return NotFound("SECRET_UNKNOWN", f"no secret named {name} has a value here", names=name)
    rule = f"the name of a secret has 1 to {MAX_NAME_CHARACTERS} letters, digits and '_', the first no digit"
    return Invalid("SECRET_NAME_INVALID", rule, value=shown(name))
