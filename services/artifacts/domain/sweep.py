"""Reservations whose executor seems to be gone: the ledger is asked before anything becomes of them."""

import logging
from datetime import timedelta

from services.artifacts.domain import bindings
from services.artifacts.ports import BindingAdapter, Fence, Resolver
from theory.core.binding import Abortion, Commitment
from theory.core.clock import Clock
from theory.core.errors import TheoryError
from theory.core.ids import PlanId
from theory.core.receipt import Receipt
from theory.core.world_path import WorldName

_log = logging.getLogger(__name__)

_BATCH = 100
_LOOKS_PER_DOUBT = 10


class Sweep:
    """Asks the ledger about each reservation older than `doubt`, and does what it answers.

    A receipt is committed; a fenced epoch is dropped, for it can never settle. Nothing is dropped on suspicion: while
    the ledger does not answer, reservations stay. A live attempt that is merely slow loses nothing it could have kept:
    its epoch is fenced for ever, and its settle is refused.
    """

    def __init__(self, table: BindingAdapter, resolver: Resolver, clock: Clock, *, doubt: timedelta) -> None:
        self._table = table
        self._resolver = resolver
        self._clock = clock
        self._doubt = doubt

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self._clock.sleep(self._doubt.total_seconds() / _LOOKS_PER_DOUBT)
            try:
                await self.once()
            except TheoryError as error:
                _log.warning("sweep.failed", extra={"theory_fields": {"reason": error.reason}})
            except Exception:  # noqa: BLE001 - nobody waits for this task: unseen, reservations would stay for ever
                _log.exception("sweep.broke")

    async def once(self) -> int:
        """Decide what is in doubt now, oldest first; how many reservations were decided.

        Raises what the ledger or the table raised; what was decided before stays decided.
        """
        before = self._clock.now() - self._doubt
        doubtful = await self._table.read(lambda table: table.open_fences(before, _BATCH))
        decided = 0
        for fence in doubtful:
            decided += await self._decide(fence)
        return decided

    async def _decide(self, fence: Fence) -> bool:
        resolution = await self._resolver.resolve(fence.execution_id, fence.epoch)
        now = self._clock.now()
        if resolution.receipt is not None and fence.world is not None and fence.plan_id is not None:
            settled = _commitment(resolution.receipt, fence, fence.world, fence.plan_id)
            (refused,) = await self._table.write(lambda table: bindings.commit(table, [settled], now=now))
            return self._said(fence, "committed", refused)
        if resolution.fenced:
            dropped = Abortion(fence.execution_id, fence.epoch)
            await self._table.write(lambda table: bindings.abort(table, [dropped], now=now))
            return self._said(fence, "dropped", None)
        return False

    def _said(self, fence: Fence, decision: str, refused: TheoryError | None) -> bool:
        facts = {"execution_id": fence.execution_id.text, "epoch": fence.epoch, "decision": decision}
        if refused is not None:
            # A receipt whose outputs this table does not know: no rule can repair that, a person has to look.
            _log.error("sweep.refused", extra={"theory_fields": {**facts, "reason": refused.reason}})
            return False
        _log.info("sweep.decided", extra={"theory_fields": facts})
        return True


def _commitment(receipt: Receipt, fence: Fence, world: WorldName, plan_id: PlanId) -> Commitment:
    return Commitment(world, plan_id, fence.execution_id, receipt.epoch, receipt.receipt_id, receipt.outputs)
