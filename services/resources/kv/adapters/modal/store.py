"""The port of keys on Modal: each key is a chain of cells in the Dict of its plan."""

from collections.abc import Mapping, Sequence
from itertools import count
from struct import Struct

from services.drivers.modal import Connection, name_of
from services.drivers.modal_objects import drop_dictionary, find_dictionary, together
from services.drivers.modal_plans import Places, PlanTeller
from services.drivers.moments import from_us, to_us
from services.drivers.opening import Opening
from services.resources.kv.adapters import counter, refusals
from services.resources.kv.adapters.modal.cells import Applied, Cell, Cells, Heads, Write
from services.resources.kv.adapters.modal.requests import Begun, Requests
from services.resources.kv.ports import REPLY_BYTES, KVFeature
from theory.core.adapters import KVIncr, KVPut, KVValue
from theory.core.errors import Corrupt, NotReady, TheoryError, Unavailable
from theory.core.scratch import kv_changed

_WINDOW = 16
_TOKEN_BYTES = 8
_OP = Struct(">8sQ")
_S_US = 1_000_000


class PlanCells:
    """What a plan has on Modal: one Dict."""

    def __init__(self, connection: Connection, opening: Opening) -> None:
        self._connection = connection
        self._clock = opening.clock
        self._heads = Heads()

    async def make(self, plan_id: str) -> Cells:
        return await self._cells(plan_id, create=True)

    async def find(self, plan_id: str) -> Cells:
        return await self._cells(plan_id, create=False)

    async def drop(self, plan_id: str) -> None:
        await drop_dictionary(self._connection, name_of("kv", plan_id))

    def over(self, plan_id: str) -> NotReady:
        return refusals.plan_ended(plan_id)

    async def _cells(self, plan_id: str, *, create: bool) -> Cells:
        found = await find_dictionary(self._connection, name_of("kv", plan_id), create=create)
        return Cells(found, self._heads, self._clock)


class ModalKV:
    """Linearizable per key, across replicas, by their clocks.

    Weaker than the common promises, as its features say: there are no quotas, and events are sent after their changes.
    A key that nobody reads or writes for seven days is gone. Former values stay in the Dict until then, or until the
    plan ends.
    """

    kind = "modal"
    durable = True
    features = frozenset({KVFeature.REQUEST_IDS})

    def __init__(self, places: Places[Cells], requests: Requests, teller: PlanTeller, opening: Opening) -> None:
        self._places = places
        self._requests = requests
        self._tell = teller.tell
        self._forget = teller.forget
        self._clock = opening.clock
        self._token = bytes.fromhex(opening.ids.token_hex(_TOKEN_BYTES))
        self._ops = count()

    async def get_many(self, plan_id: str, keys: Sequence[str]) -> list[KVValue | TheoryError | None]:
        nothing: list[KVValue | TheoryError | None] = [None] * len(keys)
        return await self._places.reading(plan_id, lambda cells: self._read_all(cells, keys), nothing)

    async def put_many(self, plan_id: str, items: Sequence[KVPut]) -> list[TheoryError | None]:
        last = {item.key: item for item in items}

        async def put(cells: Cells, item: KVPut) -> TheoryError | None:
            def write(cell: Cell, now_us: int) -> Write:
                return Write(item.value, now_us + item.ttl_s * _S_US if item.ttl_s else 0)

            try:
                await cells.update(item.key, write, self._op())
            except Corrupt as error:
                return error
            return None

        async def put_all(cells: Cells) -> list[TheoryError | None]:
            return await together(put(cells, item) for item in last.values())

        by_key = dict(zip(last, await self._places.writing(plan_id, put_all), strict=True))
        await self._tell(plan_id, [kv_changed(item.key, "put") for item in items if by_key[item.key] is None])
        return [by_key[item.key] for item in items]

    async def delete_many(self, plan_id: str, keys: Sequence[str]) -> list[TheoryError | None]:
        unique = list(dict.fromkeys(keys))

        async def delete(cells: Cells, key: str) -> Applied | Corrupt | None:
            try:
                return await cells.update(
                    key, lambda cell, now_us: Write(None) if cell.live(now_us) else None, self._op(), begin=False
                )
            except Corrupt as error:
                return error

        async def delete_all(cells: Cells) -> list[Applied | Corrupt | None]:
            return await together(delete(cells, key) for key in unique)

        nothing: list[Applied | Corrupt | None] = [None] * len(unique)
        by_key = dict(zip(unique, await self._places.reading(plan_id, delete_all, nothing), strict=True))
        gone = [key for key, each in by_key.items() if isinstance(each, Applied) and each.before.live(each.at_us)]
        await self._tell(plan_id, [kv_changed(key, "delete") for key in gone])
        return [each if isinstance(each := by_key[key], Corrupt) else None for key in keys]

    async def incr_many(
        self, plan_id: str, items: Sequence[KVIncr], request_id: str | None = None
    ) -> list[int | TheoryError]:
        if request_id is None:
            return await self._places.writing(plan_id, lambda cells: self._add(plan_id, cells, items, None))
        digest = counter.digest(items)

        async def add_once(cells: Cells) -> list[int | TheoryError]:
            begun = await self._requests.begin(plan_id, request_id, digest)
            if begun.answers is not None:
                return begun.answers
            answers = await self._add(plan_id, cells, items, begun)
            if not any(isinstance(each, Corrupt) for each in answers):
                await self._requests.end(plan_id, request_id, answers)
            return answers

        try:
            return await self._places.writing(plan_id, add_once)
        except NotReady:
            answers = await self._requests.find(plan_id, request_id, digest)
            if answers is None:
                raise
            return answers

    async def begin_plan(self, plan_id: str, event_every: int) -> None:
        await self._places.begin(plan_id, event_every)

    async def end_plan(self, plan_id: str) -> None:
        await self._places.end(plan_id)
        self._forget(plan_id)

    async def _read_all(self, cells: Cells, keys: Sequence[str]) -> list[KVValue | TheoryError | None]:
        found: dict[str, KVValue | TheoryError | None] = {}
        answers: list[KVValue | TheoryError | None] = []
        room, in_vain = REPLY_BYTES, 0
        for begin in range(0, len(keys), _WINDOW):
            window = keys[begin : begin + _WINDOW]
            if in_vain > REPLY_BYTES:
                answers += [refusals.reply_full()] * len(window)
                continue
            unread = [key for key in dict.fromkeys(window) if key not in found]
            found.update(zip(unread, await together(self._read(cells, key) for key in unread), strict=True))
            for key in window:
                answer = found[key]
                if isinstance(answer, KVValue):
                    size = len(answer.value)
                    if size > room:
                        in_vain += size
                        answer = found[key] = refusals.reply_full()
                    else:
                        room -= size
                answers.append(answer)
        return answers

    async def _read(self, cells: Cells, key: str) -> KVValue | Corrupt | None:
        try:
            cell = await cells.read(key)
        except Corrupt as error:
            return error
        if cell is None or cell.value is None or not cell.live(self._now_us()):
            return None
        return KVValue(cell.value, from_us(cell.expire_us) if cell.expire_us else None)

    async def _add(
        self, plan_id: str, cells: Cells, items: Sequence[KVIncr], begun: Begun | None
    ) -> list[int | TheoryError]:
        places_by_key: dict[str, list[int]] = {}
        for idx, item in enumerate(items):
            places_by_key.setdefault(item.key, []).append(idx)

        async def add(key: str, of_key: Sequence[KVIncr]) -> list[int | TheoryError]:
            def change(cell: Cell, now_us: int) -> Write | None:
                return _sums(cell, now_us, of_key)[1]

            try:
                applied = await cells.update(
                    key, change, begun.op_of(key) if begun else self._op(), since_us=begun.since_us if begun else None
                )
            except Corrupt as error:
                return [error] * len(of_key)
            if applied is None:
                raise Unavailable("STORE_UNREACHABLE", "the store does not hold what was just made")
            return _sums(*applied, of_key)[0]

        added = await together(add(key, [items[idx] for idx in idxs]) for key, idxs in places_by_key.items())
        by_idx: Mapping[int, int | TheoryError] = {
            idx: answer
            for idxs, answers in zip(places_by_key.values(), added, strict=True)
            for idx, answer in zip(idxs, answers, strict=True)
        }
        changed = [kv_changed(item.key, "incr") for idx, item in enumerate(items) if isinstance(by_idx[idx], int)]
        await self._tell(plan_id, changed)
        return [by_idx[idx] for idx in range(len(items))]

    def _op(self) -> bytes:
        return _OP.pack(self._token, next(self._ops))

    def _now_us(self) -> int:
        return to_us(self._clock.now())


def _sums(cell: Cell, now_us: int, items: Sequence[KVIncr]) -> tuple[list[int | TheoryError], Write | None]:
    """What additions to a cell answer, in order, and what they make of it: nothing where all are refused."""
    value, expire_us = (cell.value, cell.expire_us) if cell.live(now_us) else (None, 0)
    answers: list[int | TheoryError] = []
    changed = False
    for item in items:
        total = counter.add(value, item.by)
        answers.append(total)
        if isinstance(total, int):
            if value is None and item.ttl_s:
                expire_us = now_us + item.ttl_s * _S_US
            value, changed = b"%d" % total, True
    return answers, Write(value, expire_us) if changed else None
