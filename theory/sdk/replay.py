"""Replay: an execution is carried out once more, and what comes out is compared with what came out first."""

from collections.abc import Callable
from dataclasses import dataclass

from theory.core.cid import Cid
from theory.core.determinism import (
    Difference,
    differences_of_bytes,
    differences_of_receipts,
    differing_outputs,
)
from theory.core.errors import NotReady
from theory.core.ids import ExecutionId, PlanId
from theory.core.receipt import Receipt
from theory.sdk.client import Theory
from theory.sdk.rpc import unwrapped
from theory.sdk.views import PlanView

MAX_COMPARED_BYTES = 64 * 1024 * 1024
"""Of larger outputs only the CIDs are compared."""


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What became of a replay."""

    plan_id: PlanId
    """The plan that carried it out."""
    before: Receipt
    after: Receipt
    differences: tuple[Difference, ...]

    @property
    def same(self) -> bool:
        """Whether the second time gave what the first gave, bit for bit."""
        return not self.differences


async def replay(
    theory: Theory, execution_id: ExecutionId, *, begun: Callable[[PlanView], None] = lambda _: None
) -> ReplayReport:
    """Carry `execution_id` out again and compare; `begun` is told of the plan that does so.

    Errors as `ExecutorClient.replay`; `NotReady` (`REPLAY_IMPOSSIBLE`) also where the replay itself was never settled.
    """
    first = await theory.executor.get_execution(execution_id)
    plan = await theory.executor.replay(execution_id)
    begun(plan)
    async for change in theory.executor.watch(plan.plan_id):
        plan = change.plan
    [second] = [each async for each in theory.executor.executions(plan.plan_id)]
    if first.receipt_id is None or second.receipt_id is None:
        message = f"the replay {plan.plan_id} ended {plan.state.value} before it was settled"
        raise NotReady("REPLAY_IMPOSSIBLE", message, execution_id=execution_id.text)
    before, after = unwrapped(await theory.ledger.get_receipts([first.receipt_id, second.receipt_id]))
    return ReplayReport(plan.plan_id, before, after, tuple(await compare(theory, before, after)))


async def compare(theory: Theory, before: Receipt, after: Receipt) -> list[Difference]:
    """What two settle receipts of the same work state otherwise, and where files of one path differ."""
    found = differences_of_receipts(before, after)
    for one, other in differing_outputs(before, after):
        if max(one.size_bytes, other.size_bytes) <= MAX_COMPARED_BYTES:
            data = [await _bytes_of(theory, each.cid) for each in (one, other)]
            found += differences_of_bytes(one.path.text, *data)
    return found


async def _bytes_of(theory: Theory, cid: Cid) -> bytes:
    return await theory.artifacts.get_blob(cid, max_bytes=MAX_COMPARED_BYTES)
