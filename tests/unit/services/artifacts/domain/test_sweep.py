"""Reservations in doubt: the ledger decides, and nothing happens before it has."""

import asyncio
from datetime import timedelta

import pytest

from services.artifacts.adapters.bindings.memory import MemoryBindings
from services.artifacts.adapters.blobs.memory import MemoryBlobs
from services.artifacts.domain import bindings
from services.artifacts.domain.sweep import Sweep
from services.artifacts.ports import PathKey
from theory.core.artifact import Output
from theory.core.binding import Preparation
from theory.core.cid import Cid
from theory.core.clock import FakeClock
from theory.core.errors import Unavailable
from theory.core.ids import ExecutionId, PlanId
from theory.core.receipt import AttemptOutcome, settle_receipt
from theory.core.settle import Resolution
from theory.core.world_path import WorldName, WorldPath

DOUBT = timedelta(seconds=60)
PLAN, X = PlanId("p-1"), ExecutionId("p-1.x")
OUTPUT = Output(WorldPath("/artifacts/a"), Cid.of(b"one"), 3)


class Ledger:
    """Decides as it was told to, and remembers who asked."""

    def __init__(self) -> None:
        self.answer: Resolution | Exception = Resolution(None, fenced=True)
        self.asked: list[tuple[str, int]] = []
        self.was_asked = asyncio.Event()

    async def resolve(self, execution_id: ExecutionId, epoch: int) -> Resolution:
        self.asked.append((execution_id.text, epoch))
        self.was_asked.set()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def settled(self, epoch: int, *outputs: Output) -> None:
        outcome = AttemptOutcome.SUCCEEDED if outputs else AttemptOutcome.FAILED
        receipt = settle_receipt(
            plan_id=PLAN,
            execution_id=X,
            attempt_idx=0,
            epoch=epoch,
            outcome=outcome,
            final=True,
            settled_at=FakeClock().now(),
            reserved_usd_micro=0,
            spent_usd_micro=0,
            outputs=outputs,
        )
        self.answer = Resolution(receipt, fenced=False)


class Doubt:
    """A reservation at epoch 2, and all that is needed to decide it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.ledger = Ledger()
        self.table = MemoryBindings(self.clock)
        self.sweep = Sweep(self.table, self.ledger, self.clock, doubt=DOUBT)
        blobs = MemoryBlobs()
        blobs.data_by_cid[OUTPUT.cid] = b"one"
        item = Preparation(WorldName("w"), PLAN, X, 2, (OUTPUT,))
        bindings.prepare(self.table.table, blobs, [item], now=self.clock.now())

    @property
    def owner(self) -> str | None:
        key = PathKey("w", OUTPUT.path.text)
        hold = self.table.table.holds([key]).get(key)
        return None if hold is None else hold.owner or "bound"


@pytest.fixture
def doubt() -> Doubt:
    made = Doubt()
    made.clock.advance(DOUBT.total_seconds() + 1)
    return made


async def test_a_young_reservation_is_left_alone() -> None:
    doubt = Doubt()
    doubt.clock.advance(DOUBT.total_seconds())
    assert await doubt.sweep.once() == 0
    assert doubt.ledger.asked == []


async def test_a_fenced_epoch_is_dropped(doubt: Doubt) -> None:
    assert await doubt.sweep.once() == 1
    assert doubt.ledger.asked == [("p-1.x", 2)]
    assert doubt.owner is None


async def test_a_settled_execution_is_committed(doubt: Doubt) -> None:
    doubt.ledger.settled(2, OUTPUT)
    assert await doubt.sweep.once() == 1
    assert doubt.owner == "bound"


async def test_an_execution_that_failed_for_good_is_dropped(doubt: Doubt) -> None:
    doubt.ledger.settled(3)
    assert await doubt.sweep.once() == 1
    assert doubt.owner is None


async def test_nothing_is_dropped_while_the_ledger_does_not_answer(doubt: Doubt) -> None:
    doubt.ledger.answer = Unavailable("SERVICE_UNREACHABLE", "away")
    with pytest.raises(Unavailable):
        await doubt.sweep.once()
    assert doubt.owner == "p-1.x"


async def test_nothing_is_dropped_without_a_decision(doubt: Doubt) -> None:
    doubt.ledger.answer = Resolution(None, fenced=False)
    assert await doubt.sweep.once() == 0
    assert doubt.owner == "p-1.x"


async def test_a_receipt_that_names_what_was_never_prepared_is_reported_and_changes_nothing(
    doubt: Doubt, caplog: pytest.LogCaptureFixture
) -> None:
    doubt.ledger.settled(1, OUTPUT)
    assert await doubt.sweep.once() == 0
    assert doubt.owner == "p-1.x"
    assert caplog.messages == ["sweep.refused"]


async def test_what_was_decided_is_not_asked_again(doubt: Doubt) -> None:
    await doubt.sweep.once()
    doubt.clock.advance(10 * DOUBT.total_seconds())
    assert await doubt.sweep.once() == 0


@pytest.mark.parametrize("failure", [Unavailable("SERVICE_UNREACHABLE", "away"), RuntimeError("a bug")])
async def test_it_looks_again_after_a_failure(doubt: Doubt, failure: Exception) -> None:
    running = asyncio.create_task(doubt.sweep.run())
    doubt.ledger.answer = failure
    for _ in range(2):
        await doubt.clock.until_sleepers(1)
        doubt.clock.advance(DOUBT.total_seconds() / 10)
        await doubt.ledger.was_asked.wait()
        doubt.ledger.was_asked.clear()
    running.cancel()
    assert len(doubt.ledger.asked) == 2
