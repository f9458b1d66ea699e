"""The port to the sockets over which processors that run reach the other services."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeAlias

from services.executor.ports.place import AttemptPlace
from theory.core.jcs import JSON
from theory.core.secret import Secret

Bearer: TypeAlias = Callable[[], Awaitable[Secret]]
"""Gives the token of an attempt that holds now and for a while. It is asked when the attempt calls, and not before."""


class Gate(Protocol):
    """What answers on one socket."""

    async def open(self, target: str) -> None:
        """Listen at this path, in the place of a socket that an executor before this one left there."""
        ...

    async def close(self) -> None:
        """End what is under way, and listen no more."""
        ...


class Sockets(Protocol):
    """Serves attempts in their places."""

    def serving(
        self, place: AttemptPlace, about: Mapping[str, JSON], bearer: Bearer
    ) -> AbstractAsyncContextManager[None]:
        """Serve `run/theory.sock` of the place within the block; `run/attempt.json` holds `about`, who the attempt is.

        Only the processor of that place can connect, and only as this attempt. An executor that comes after a kill
        serves the same path again. `Exhausted` (`DISK_FULL`), `Corrupt` (`STORE_CORRUPT`), `NotReady`
        (`ADDRESS_TAKEN`).
        """
        ...
