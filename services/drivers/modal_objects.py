"""Dicts and Queues of Modal as stores of bytes: what is read is what this service wrote, or an error."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from services.drivers.modal import Absent, Connection, foreign
from theory.core.errors import Corrupt, Unavailable

if TYPE_CHECKING:
    import modal

T = TypeVar("T")

MAX_WRITE_BYTES = 2 << 20
"""How much one write of many entries carries."""

_LIST_S = 20.0


class Dictionary:
    """A Dict: text to bytes. Every method raises `Absent` where the Dict is not there any more.

    An entry that nobody reads or writes for seven days is gone.
    """

    def __init__(self, connection: Connection, raw: "modal.Dict") -> None:
        self._connection = connection
        self._raw = raw

    async def get(self, key: str) -> bytes | None:
        """What the key holds."""
        found = await self._connection.again(lambda: self._connection.call(self._raw.get.aio, key))
        return None if found is None else _bytes(found)

    async def has(self, key: str) -> bool:
        """Whether the key holds something."""
        return await self._connection.call(self._raw.contains.aio, key)

    async def put(self, key: str, value: bytes) -> None:
        """Set, whatever was there."""
        await self._connection.call(self._raw.put.aio, key, value)

    async def claim(self, key: str, value: bytes) -> bytes:
        """What the key holds from now on: `value` if nothing was there. One call where it is.

        A failure leaves that open, so it is asked for: values by which their writers are known settle who was first.
        """

        async def ask() -> bytes:
            if await self._connection.call(self._raw.put.aio, key, value, skip_if_exists=True):
                return value
            held = await self.get(key)
            if held is None:
                raise Unavailable("STORE_UNREACHABLE", "the store says of a key that it is there and that it is not")
            return held

        return await self._connection.again(ask)

    async def put_all(self, values: Mapping[str, bytes]) -> None:
        """Set all, in as few calls as their weight allows; not one step."""
        await together(self._connection.call(self._raw.update.aio, part) for part in _parts(values))

    async def remove(self, key: str) -> None:
        """Forget the key."""
        with suppress(Corrupt):  # the call gives what it removed
            await self._connection.call(self._raw.pop.aio, key, None)

    async def keys(self) -> list[str]:
        """All, in no order. Those that are no text are left out."""
        return await self._connection.within(_LIST_S, self._keys)

    async def _keys(self) -> list[str]:
        return [key async for key in self._raw.keys.aio() if isinstance(key, str)]


class Standing:
    """A Dict of the whole deployment, made when it is first asked for."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._name = name
        self._found: Dictionary | None = None

    async def asked(self, ask: Callable[[Dictionary], Awaitable[T]]) -> T:
        """What `ask` finds there."""
        try:
            if self._found is None:
                self._found = await find_dictionary(self._connection, self._name, create=True)
            return await ask(self._found)
        except Absent:
            self._found = None
            raise Unavailable("STORE_UNREACHABLE", "the store lost what it held; it is made anew") from None


class Hints:
    """A Queue: partitions of short items, each taken once at most, and lost where the answer is."""

    def __init__(self, connection: Connection, raw: "modal.Queue") -> None:
        self._connection = connection
        self._raw = raw

    async def put(self, partition: str, items: Sequence[bytes]) -> None:
        """Add; `Exhausted` where the partition is full."""
        await self._connection.call(self._raw.put_many.aio, list(items), block=False, partition=partition)

    async def take(self, partition: str, most: int) -> list[bytes]:
        """At most so many, at once."""
        taken = await self._connection.call(self._raw.get_many.aio, most, block=False, partition=partition)
        return [_bytes(each) for each in taken]


async def find_dictionary(connection: Connection, name: str, *, create: bool) -> Dictionary:
    """The Dict of this name, made where `create` says so, `Absent` otherwise."""
    raw = connection.sdk.Dict.from_name(
        name, environment_name=connection.environment, create_if_missing=create, client=connection.client
    )
    return Dictionary(connection, await connection.call(raw.hydrate.aio))


async def find_hints(connection: Connection, name: str, *, create: bool) -> Hints:
    """The Queue of this name, made where `create` says so, `Absent` otherwise."""
    raw = connection.sdk.Queue.from_name(
        name, environment_name=connection.environment, create_if_missing=create, client=connection.client
    )
    return Hints(connection, await connection.call(raw.hydrate.aio))


async def drop_dictionary(connection: Connection, name: str) -> None:
    """Delete the Dict with all that is in it; one that is gone is fine."""
    with suppress(Absent):
        await connection.call(
            connection.sdk.Dict.objects.delete.aio,
            name,
            allow_missing=True,
            environment_name=connection.environment,
            client=connection.client,
        )


async def drop_hints(connection: Connection, name: str) -> None:
    """Delete the Queue with all that is in it; one that is gone is fine."""
    with suppress(Absent):
        await connection.call(
            connection.sdk.Queue.objects.delete.aio,
            name,
            allow_missing=True,
            environment_name=connection.environment,
            client=connection.client,
        )


async def together(asked: Iterable[Awaitable[T]]) -> list[T]:
    """What all of them answer; once all have ended, the failure of the first that failed."""

    async def heard(each: Awaitable[T]) -> tuple[list[T], Exception | None]:
        try:
            return [await each], None
        except Exception as error:  # noqa: BLE001 - raised below
            return [], error

    answers: list[T] = []
    for answer, failure in await asyncio.gather(*map(heard, asked)):
        if failure is not None:
            raise failure
        answers += answer  # an answer may be an error, too
    return answers


def _bytes(found: object) -> bytes:
    if not isinstance(found, bytes):
        raise foreign()
    return found


def _parts(values: Mapping[str, bytes]) -> Iterable[dict[str, bytes]]:
    part: dict[str, bytes] = {}
    weight = 0
    for key, value in values.items():
        if part and weight + len(value) > MAX_WRITE_BYTES:
            yield part
            part, weight = {}, 0
        part[key] = value
        weight += len(value)
    if part:
        yield part
