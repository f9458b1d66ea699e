"""Plans on Modal: which have begun and which have ended, for every replica, and the objects that each one has there."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Generic, NamedTuple, Protocol, TypeVar
from weakref import WeakValueDictionary

from services.drivers.modal import Absent, Connection, hash_of
from services.drivers.modal_objects import Standing, together
from services.drivers.opening import Opening
from services.drivers.teller import Teller
from theory.core.clock import Clock
from theory.core.errors import TheoryError, Unavailable
from theory.core.scratch import Change

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
R = TypeVar("R")

TRUSTED_S = 30.0
"""How long a process goes by what it knows of a plan. Of an end it learns before: the plan's objects are gone."""

_MAX_PLANS = 10_000
_FIGURE_BYTES = 4


class Mark(NamedTuple):
    """What is known of a plan."""

    ended: bool
    event_every: int


class Plans:
    """The marks of one area (`kv`, `queue`), in one Dict; a mark that nobody reads for seven days is gone."""

    def __init__(self, connection: Connection, area: str, clock: Clock) -> None:
        self._marks = Standing(connection, f"theory-{area}-plans")
        self._clock = clock
        self._known: OrderedDict[str, tuple[Mark, float]] = OrderedDict()

    async def mark(self, plan_id: str, *, fresh: bool = False) -> Mark:
        """What is known of the plan; as of now where it must be `fresh`. An end is for ever."""
        now = self._clock.monotonic()
        known = self._known.get(plan_id)
        if known is not None and (known[0].ended or (not fresh and now < known[1])):
            return known[0]
        ended, every = await together((self._get("e", plan_id), self._get("b", plan_id)))
        return self._keep(plan_id, Mark(ended is not None, int.from_bytes(every or b"")))

    def over(self, plan_id: str) -> bool:
        """Whether this process knows that the plan has ended."""
        known = self._known.get(plan_id)
        return known is not None and known[0].ended

    async def begin(self, plan_id: str, event_every: int) -> None:
        """Remember how many changes make an event."""
        await self._put("b", plan_id, event_every.to_bytes(_FIGURE_BYTES))
        self._keep(plan_id, Mark(self.over(plan_id), event_every))

    async def end(self, plan_id: str) -> None:
        """Remember that it has ended."""
        await self._put("e", plan_id, b"\x01")
        self._keep(plan_id, Mark(ended=True, event_every=0))

    def _keep(self, plan_id: str, mark: Mark) -> Mark:
        if self.over(plan_id):
            mark = mark._replace(ended=True)
        self._known[plan_id] = (mark, self._clock.monotonic() + TRUSTED_S)
        self._known.move_to_end(plan_id)
        while len(self._known) > _MAX_PLANS:
            self._known.popitem(last=False)
        return mark

    async def _get(self, kind: str, plan_id: str) -> bytes | None:
        return await self._marks.asked(lambda marks: marks.get(f"{kind}:{hash_of(plan_id)}"))

    async def _put(self, kind: str, plan_id: str, value: bytes) -> None:
        await self._marks.asked(lambda marks: marks.put(f"{kind}:{hash_of(plan_id)}", value))


class PlanTeller:
    """Makes events of changes that are done: best effort, and none where nobody can say how many make one."""

    def __init__(self, plans: Plans, area: str, opening: Opening) -> None:
        self._plans = plans
        self._teller = Teller(area, opening)
        self.forget = self._teller.forget

    async def tell(self, plan_id: str, changes: Sequence[Change]) -> None:
        """Emit those that become events."""
        if changes:
            with suppress(TheoryError):
                self._teller.tell(plan_id, changes, every=(await self._plans.mark(plan_id)).event_every)


class Kind(Protocol[T_co]):
    """What objects a plan has, and how they come and go."""

    async def make(self, plan_id: str) -> T_co:
        """Make them, or find them."""
        ...

    async def find(self, plan_id: str) -> T_co:
        """Find them; `Absent` where they are not there."""
        ...

    async def drop(self, plan_id: str) -> None:
        """Delete what there is of them."""
        ...

    def over(self, plan_id: str) -> TheoryError:
        """Why nothing is written to a plan that has ended."""
        ...


class Places(Generic[T]):
    """The objects of plans: made by the first write, found by their names, gone with the plan.

    An end is marked before the objects are deleted, and whoever makes them looks for the mark afterwards: so no late
    write brings a plan back.
    """

    def __init__(self, plans: Plans, kind: Kind[T]) -> None:
        self._plans = plans
        self._kind = kind
        self._open: OrderedDict[str, T] = OrderedDict()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def writing(self, plan_id: str, work: Callable[[T], Awaitable[R]]) -> R:
        """What `work` returns, done with the objects of the plan; it may be done twice.

        Raises `Kind.over` where the plan has ended.
        """
        for _ in range(2):
            place = await self._to_write(plan_id)
            try:
                return await work(place)
            except Absent:
                self._forget(plan_id, place)
        raise _unheard()

    async def reading(self, plan_id: str, work: Callable[[T], Awaitable[R]], nothing: R) -> R:
        """What `work` returns, done with the objects of the plan; `nothing` where there are none."""
        while not self._plans.over(plan_id):
            place = self._open.get(plan_id)
            known = place is not None
            try:
                place = place or self._keep(plan_id, await self._kind.find(plan_id))
                return await work(place)
            except Absent:
                if place is not None:
                    self._forget(plan_id, place)
                if not known:
                    break
        return nothing

    async def begin(self, plan_id: str, event_every: int) -> None:
        """Remember how many changes make an event. Raises `Kind.over`."""
        if (await self._plans.mark(plan_id, fresh=True)).ended:
            raise self._kind.over(plan_id)
        await self._plans.begin(plan_id, event_every)

    async def end(self, plan_id: str) -> None:
        """Mark the end, delete everything."""
        await self._plans.end(plan_id)
        await self._kind.drop(plan_id)
        self._open.pop(plan_id, None)

    async def _to_write(self, plan_id: str) -> T:
        if self._plans.over(plan_id):
            raise self._kind.over(plan_id)
        place = self._open.get(plan_id)
        if place is None:
            lock = self._locks.setdefault(plan_id, asyncio.Lock())
            async with lock:
                place = self._open.get(plan_id) or await self._made(plan_id)
        elif (await self._plans.mark(plan_id)).ended:
            self._forget(plan_id, place)
            raise self._kind.over(plan_id)
        return place

    async def _made(self, plan_id: str) -> T:
        place = await self._kind.make(plan_id)
        if (await self._plans.mark(plan_id, fresh=True)).ended:
            await self._kind.drop(plan_id)
            raise self._kind.over(plan_id)
        return self._keep(plan_id, place)

    def _keep(self, plan_id: str, place: T) -> T:
        place = self._open.setdefault(plan_id, place)
        self._open.move_to_end(plan_id)
        while len(self._open) > _MAX_PLANS:
            self._open.popitem(last=False)
        return place

    def _forget(self, plan_id: str, place: T) -> None:
        if self._open.get(plan_id) is place:
            del self._open[plan_id]


def _unheard() -> Unavailable:
    return Unavailable("STORE_UNREACHABLE", "the store lost what it held for this service; it is made anew")
