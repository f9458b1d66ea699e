"""What secrets promise, wherever their values lie: names for everyone, tags that tell nothing but a change."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from blake3 import blake3

from services.resources.secrets.ports import MAX_ITEMS, MAX_NAME_CHARACTERS, SecretSource
from theory.core.adapters import SecretReference
from theory.core.errors import Invalid, NotFound, TheoryError, Unsupported, shown
from theory.core.secret import Secret

_Found = TypeVar("_Found")
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
        """The tag of each: equal values of two names have two tags. Empty where the source cannot tell."""
        if self._source.reader is not None:
            return await _each(names, self._source.reader.read, self._tag)
        return [each if isinstance(each, TheoryError) else "" for each in await self.bind(names)]

    async def resolve(self, names: Sequence[str]) -> list[Secret | TheoryError]:
        """The value of each. `Unsupported` (`CAPABILITY_MISSING`) where they cannot be read."""
        if self._source.reader is None:
            raise Unsupported("CAPABILITY_MISSING", "values cannot be read from this source", capability="VALUES")
        return await _each(names, self._source.reader.read, lambda secret: secret)

    async def bind(self, names: Sequence[str]) -> list[SecretReference | TheoryError]:
        """The reference of each. `Unsupported` (`CAPABILITY_MISSING`) where there are none."""
        if self._source.binder is None:
            raise Unsupported("CAPABILITY_MISSING", "this source has no references", capability="REFERENCES")
        return await _each(names, self._source.binder.bind, lambda reference: reference)

    def _tag(self, secret: Secret) -> str:
        # A name holds no NUL: no two secrets read alike.
        return blake3(f"{secret.name}\0{secret.reveal()}".encode(), key=self._key).hexdigest()


async def _each(
    names: Sequence[str],
    find: Callable[[Sequence[str]], Awaitable[Mapping[str, _Found]]],
    answer: Callable[[_Found], _Answer],
) -> list[_Answer | TheoryError]:
    if not 0 < len(names) <= MAX_ITEMS:
        raise Invalid("BATCH_SIZE", f"a batch has 1 to {MAX_ITEMS} names", max=str(MAX_ITEMS))
    sound = [name for name in names if _is_name(name)]
    found = await find(sound) if sound else {}
    return [answer(found[name]) if name in found else _fault(name) for name in names]


def _fault(name: str) -> TheoryError:
    if _is_name(name):
        return NotFound("SECRET_UNKNOWN", f"no secret named {name} has a value here", names=name)
    rule = f"the name of a secret has 1 to {MAX_NAME_CHARACTERS} letters, digits and '_', the first no digit"
    return Invalid("SECRET_NAME_INVALID", rule, value=shown(name))
