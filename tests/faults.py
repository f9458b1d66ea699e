"""Faults of the executor's peers, as a test asks for them: calls that fail, answers that are lost, calls that wait."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from typing import Any

from services.executor.ports import Peers
from theory.core.errors import TheoryError


@dataclass
class Held:
    """One call that waits at the door of its peer."""

    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)


class Faults:
    """Stands around the peers and passes everything on, but for what it was told. Methods are named `ledger.settle`."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        """Every call that reached its peer, in order."""
        self._refusals: dict[str, list[TheoryError]] = {}
        self._lost_answers: dict[str, list[TheoryError]] = {}
        self._held: dict[str, Held] = {}

    def around(self, peers: Peers) -> Peers:
        """The same peers, with this around them."""
        return Peers(**{each.name: _Guarded(each.name, getattr(peers, each.name), self) for each in fields(peers)})

    def refuse(self, method: str, *errors: TheoryError) -> None:
        """The next calls fail so, and never reach the peer."""
        self._refusals.setdefault(method, []).extend(errors)

    def lose(self, method: str, *errors: TheoryError) -> None:
        """The next calls reach the peer; their callers get this for an answer."""
        self._lost_answers.setdefault(method, []).extend(errors)

    @asynccontextmanager
    async def holding(self, method: str) -> AsyncIterator[Held]:
        """Let calls of `method` wait until `released` is set, or the block ends."""
        held = self._held[method] = Held()
        try:
            yield held
        finally:
            del self._held[method]
            held.released.set()

    def clear(self) -> None:
        """Forget what was asked for, and what happened."""
        self.calls.clear()
        self._refusals.clear()
        self._lost_answers.clear()

    async def enter(self, method: str) -> None:
        """Before a call."""
        if held := self._held.get(method):
            held.arrived.set()
            await held.released.wait()
        _raise_next(self._refusals, method)
        self.calls.append(method)

    def leave(self, method: str) -> None:
        """After it."""
        _raise_next(self._lost_answers, method)


def _raise_next(errors_by_method: dict[str, list[TheoryError]], method: str) -> None:
    if errors := errors_by_method.get(method):
        raise errors.pop(0)


class _Guarded:
    def __init__(self, name: str, peer: Any, faults: Faults) -> None:
        self._name = name
        self._peer = peer
        self._faults = faults

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method, full = getattr(self._peer, name), f"{self._name}.{name}"

        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._faults.enter(full)
            answer = await method(*args, **kwargs)
            self._faults.leave(full)
            return answer

        async def iterate(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            await self._faults.enter(full)
            async for each in method(*args, **kwargs):
                yield each
            self._faults.leave(full)

        return iterate if inspect.isasyncgenfunction(method) else call
