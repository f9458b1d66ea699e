"""Keys: a store of a few lines that keeps every promise, and the same with one fault each."""

from collections.abc import Sequence
from dataclasses import dataclass

from theory.core.adapters import KVIncr, KVPut, KVValue
from theory.core.clock import Clock
from theory.core.errors import Exhausted, TheoryError


@dataclass(slots=True)
class Cell:
    """What a key holds, and until when."""

    value: bytes
    until: float | None = None


class ModelKeys:
    """What it answered it has; `crash` is what a kill leaves of it: all."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.cells: dict[str, Cell] = {}
        self.answers: dict[str, list[int | TheoryError]] = {}

    def crash(self) -> None:
        """Be killed, and come back."""

    async def get_many(self, plan_id: str, keys: Sequence[str]) -> list[KVValue | TheoryError | None]:
        return [self.get(each) for each in keys]

    async def put_many(self, plan_id: str, items: Sequence[KVPut]) -> list[TheoryError | None]:
        return [self.put(each) for each in items]

    async def delete_many(self, plan_id: str, keys: Sequence[str]) -> list[TheoryError | None]:
        for each in keys:
            self.delete(each)
        return [None] * len(keys)

    async def incr_many(
        self, plan_id: str, items: Sequence[KVIncr], request_id: str | None = None
    ) -> list[int | TheoryError]:
        if request_id is not None and request_id in self.answers:
            return self.answers[request_id]
        answers: list[int | TheoryError] = [await self.incr(each) for each in items]
        if request_id is not None:
            self.answers[request_id] = answers
        return answers

    def cell(self, key: str) -> Cell | None:
        """What the key holds now."""
        cell = self.cells.get(key)
        return None if cell is None or self.over(cell) else cell

    def over(self, cell: Cell) -> bool:
        """Whether its time is over."""
        return cell.until is not None and cell.until <= self.clock.monotonic()

    def get(self, key: str) -> KVValue | None:
        """Read."""
        cell = self.cell(key)
        return None if cell is None else KVValue(cell.value)

    def put(self, item: KVPut) -> TheoryError | None:
        """Write."""
        self.cells[item.key] = Cell(item.value, None if item.ttl_s is None else self.clock.monotonic() + item.ttl_s)
        return None

    def delete(self, key: str) -> None:
        """Forget."""
        self.cells.pop(key, None)

    async def incr(self, item: KVIncr) -> int:
        """Count."""
        cell = self.cell(item.key)
        total = int(cell.value if cell else b"0") + item.by
        self.cells[item.key] = Cell(b"%d" % total)
        return total


class Faulty(ModelKeys):
    """A store with a fault."""


class ReadsBehind(Faulty):
    """Reads from a replica that is behind."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.seen: dict[str, KVValue | None] = {}
        self.reads = 0

    def get(self, key: str) -> KVValue | None:
        self.reads += 1
        if self.reads % 5 or key not in self.seen:
            self.seen[key] = super().get(key)
        return self.seen[key]


class CountsApart(Faulty):
    """Reads, waits and writes: of two additions at once one is lost."""

    async def incr(self, item: KVIncr) -> int:
        cell = self.cell(item.key)
        await self.clock.sleep(0.05)
        total = int(cell.value if cell else b"0") + item.by
        self.cells[item.key] = Cell(b"%d" % total)
        return total


class AddsAgain(Faulty):
    """Knows no request again."""

    async def incr_many(
        self, plan_id: str, items: Sequence[KVIncr], request_id: str | None = None
    ) -> list[int | TheoryError]:
        return await super().incr_many(plan_id, items)


class ForgetsRequests(Faulty):
    """Keeps request ids in memory."""

    def crash(self) -> None:
        self.answers.clear()


class WritesLater(Faulty):
    """Answers from memory; what was not written when it was killed is as it was before."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.written: dict[str, Cell] = {}
        self.puts = 0

    def put(self, item: KVPut) -> TheoryError | None:
        self.puts += 1
        if self.puts % 10 == 0:
            self.written = dict(self.cells)
        return super().put(item)

    def crash(self) -> None:
        self.cells = dict(self.written)


class KeepsTheExpired(Faulty):
    """Removes expired keys now and then, and hands them out until it does."""

    def over(self, cell: Cell) -> bool:
        return cell.until is not None and cell.until + 1 <= self.clock.monotonic()


class ExpiresEarly(Faulty):
    """Takes a second for half of one."""

    def over(self, cell: Cell) -> bool:
        return cell.until is not None and cell.until - 0.5 <= self.clock.monotonic()


class KeepsTheDeadline(Faulty):
    """A put without a time to live leaves that of the value before."""

    def put(self, item: KVPut) -> TheoryError | None:
        before = self.cell(item.key)
        super().put(item)
        if before is not None and item.ttl_s is None:
            self.cells[item.key].until = before.until
        return None


class RestartsTheClock(Faulty):
    """Counts times to live from its own start."""

    def crash(self) -> None:
        for each in self.cells.values():
            if each.until is not None:
                each.until += 1


class RevivesTheDeleted(Faulty):
    """Writes a mark at a delete, and loses it when it is killed."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.deleted: dict[str, Cell] = {}

    def delete(self, key: str) -> None:
        if key in self.cells:
            self.deleted[key] = self.cells[key]
        super().delete(key)

    def crash(self) -> None:
        self.cells = {**self.deleted, **self.cells}


class WritesTheRefused(Faulty):
    """Refuses a write, having written."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.puts = 0

    def put(self, item: KVPut) -> TheoryError | None:
        self.puts += 1
        super().put(item)
        return Exhausted("QUOTA_EXCEEDED", "no room") if self.puts % 10 == 0 else None


class OldestWriteWins(Faulty):
    """Keeps the first of two writes of one moment."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.times: dict[str, float] = {}

    def put(self, item: KVPut) -> TheoryError | None:
        now = self.clock.monotonic()
        if now - self.times.get(item.key, -1.0) > 0.3:
            self.times[item.key] = now
            return super().put(item)
        return None


class DeletesTheNext(Faulty):
    """Carries a delete out late."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.late: set[str] = set()

    def delete(self, key: str) -> None:
        super().delete(key)
        self.late.add(key)

    def get(self, key: str) -> KVValue | None:
        if key in self.late and key in self.cells:
            self.late.discard(key)
            super().delete(key)
        return super().get(key)


class CountsInFloats(Faulty):
    """Loses the one where the number is large."""

    async def incr(self, item: KVIncr) -> int:
        total = await super().incr(item)
        if total > 30:
            self.cells[item.key] = Cell(b"%d" % (total - total % 2))
        return total


class SplitsInTwo(Faulty):
    """After a kill two stores answer, each with its own state."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.other: dict[str, Cell] | None = None

    def crash(self) -> None:
        self.other = dict(self.cells)

    def cell(self, key: str) -> Cell | None:
        if self.other is not None:
            self.cells, self.other = self.other, self.cells
        return super().cell(key)


FAULTS = tuple(Faulty.__subclasses__())
