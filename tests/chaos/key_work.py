"""What clients do with keys while their store is killed: read, write, write for a while, delete, count."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from random import Random

from tests.chaos.asking import Site, ask, unknown
from tests.chaos.history import Recorder
from tests.chaos.key_history import Action, Answer, Delete, Get, Incr, KeyOperation, Put
from theory.core.adapters import KVIncr, KVPut, KVValue
from theory.core.clock import Clock

_IMPATIENT = 0.03
_IMPATIENCE_S = 0.02


class KeyWork:
    """The clients of some keys, and the history that they write.

    A few keys are in use at a time, so that clients meet; one that was used often gives way to a new one, so that each
    history stays small enough to be judged.
    """

    def __init__(
        self,
        site: Site,
        *,
        request_ids: bool,
        clock: Clock,
        chance: Random,
        plan_id: str = "p-chaos",
        keys: int = 6,
        uses: int = 120,
        pause_s: float = 0.02,
    ) -> None:
        self._site = site
        self._request_ids = request_ids
        self._clock = clock
        self._chance = chance
        self._plan_id = plan_id
        self._recorder: Recorder[Action, Answer] = Recorder(clock.monotonic)
        self._fresh = 0
        self._uses = uses
        self._pause_s = pause_s
        self._pool = [self._name() for _ in range(keys)]
        self._used: Counter[str] = Counter()
        self.working = True

    @property
    def history(self) -> list[KeyOperation]:
        """What was asked and answered so far."""
        return self._recorder.history

    def _name(self) -> str:
        self._fresh += 1
        return f"{'register' if self._fresh % 3 else 'counter'}-{self._fresh}"

    def _key(self) -> str:
        idx = self._chance.randrange(len(self._pool))
        key = self._pool[idx]
        self._used[key] += 1
        if self._used[key] == self._uses:
            self._pool[idx] = self._name()
        return key

    async def work(self, name: str) -> None:
        """Use keys until told to stop."""
        number = 0
        while self.working:
            number += 1
            await self._use(name, number)
            await self._clock.sleep(self._chance.random() * 2 * self._pause_s)

    async def _use(self, name: str, number: int) -> None:
        key, dice = self._key(), self._chance.random()
        if dice < 0.4:
            await self._asked(name, Get(key), partial(self._site.keys.get_many, self._plan_id, [key]))
        elif key.startswith("counter"):
            await self._count(name, key, f"{name}-{number}", self._chance.choice((1, 1, 1, 5, -2)))
        elif dice < 0.85:
            ttl_s = 1 if self._chance.random() < 0.15 else None
            await self._put(name, key, f"{name}-{number}".encode(), ttl_s)
        else:
            await self._asked(name, Delete(key), partial(self._site.keys.delete_many, self._plan_id, [key]))

    async def lease(self, name: str) -> None:
        """Put something for a while and watch it go: in a busy key nothing lives long enough."""
        number = 0
        while self.working:
            number += 1
            key = f"lease-{name}-{number}"
            await self._put(name, key, b"first", self._chance.choice((1, 2)))
            if self._chance.random() < 0.5:
                await self._put(name, key, b"second", self._chance.choice((None, 1)))
            for _ in range(8):
                await self._clock.sleep(self._chance.random() * 0.8)
                await self._asked(name, Get(key), partial(self._site.keys.get_many, self._plan_id, [key]))

    async def _put(self, name: str, key: str, value: bytes, ttl_s: int | None) -> None:
        call = partial(self._site.keys.put_many, self._plan_id, [KVPut(key, value, ttl_s)])
        await self._asked(name, Put(key, value, ttl_s), call)

    async def _asked(self, name: str, action: Action, call: Callable[[], Awaitable[Sequence[object]]]) -> None:
        operation = self._recorder.invoke(name, action)
        await ask(self._recorder, [operation], call, _read, limit_s=self._limit_s())
        if unknown(operation):
            await self._site.back()

    async def _count(self, name: str, key: str, request_id: str, by: int) -> None:
        """One addition; where the store knows it again, sent until it is answered, and still one."""
        operation = self._recorder.invoke(name, Incr(key, by))
        items, named = [KVIncr(key, by)], request_id if self._request_ids else None
        while True:
            call = partial(self._site.keys.incr_many, self._plan_id, items, named)
            await ask(self._recorder, [operation], call, _sum, limit_s=self._limit_s())
            if not unknown(operation):
                return
            await self._site.back()
            if named is None or not self.working:
                return

    def _limit_s(self) -> float | None:
        return self._chance.random() * _IMPATIENCE_S if self._chance.random() < _IMPATIENT else None


def _read(answer: object) -> bytes | None:
    return answer.value if isinstance(answer, KVValue) else None


def _sum(answer: object) -> int | None:
    return answer if isinstance(answer, int) else None
