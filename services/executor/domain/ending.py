"""Claiming, settling and what follows from a receipt: the part of an attempt that may happen once only."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from services.executor.domain import memo
from services.executor.domain.patience import persistently
from services.executor.domain.resolve import Resolved
from services.executor.domain.run import OUTCOME_BY_REASON, Runs
from services.executor.domain.statement import facts_of
from services.executor.ports import ExecutionRecord, ExecutorState, Ledger, MemoEntry, PlanRecord, World
from theory.core.clock import Clock
from theory.core.errors import Conflict, TheoryError
from theory.core.execution import ExecutionState, Failure
from theory.core.jcs import JSON
from theory.core.receipt import AttemptOutcome, Receipt
from theory.core.settle import Claimed, ClaimRequest, SettleRequest

_STATE_BY_OUTCOME = {
    AttemptOutcome.SUCCEEDED: ExecutionState.SUCCEEDED,
    AttemptOutcome.CANCELLED: ExecutionState.CANCELLED,
}
"""How an execution ends whose final attempt ended so; any other outcome fails it."""


class Endings:
    """Asks the ledger, and does what it decided."""

    def __init__(
        self,
        *,
        state: ExecutorState,
        ledger: Ledger,
        world: World,
        runs: Runs,
        clock: Clock,
        reach: Callable[[str], None],
    ) -> None:
        self._state = state
        self._ledger = ledger
        self._world = world
        self._runs = runs
        self._clock = clock
        self._reach = reach

    async def claim(self, record: ExecutionRecord, reserve_usd_micro: int) -> Claimed:
        """Claim an attempt; a lost answer is claimed again, under a newer epoch."""
        request = ClaimRequest(
            plan_id=record.plan_id,
            execution_id=record.execution_id,
            attempt_idx=record.attempt_idx,
            reserve_usd_micro=reserve_usd_micro,
        )
        return await persistently(self._clock, lambda: self._ledger.claim(request))

    async def settle(self, request: SettleRequest) -> Receipt:
        """Settle an attempt; `Conflict` (`EPOCH_FENCED`). The receipt may be that of an earlier call: it wins.

        What the ledger cannot take, such as more than fits into a message, is settled as a failure at the same cost.
        """
        try:
            settled = await persistently(self._clock, lambda: self._ledger.settle(request))
        except Conflict:
            raise
        except TheoryError as error:
            bare = _bare(request, Failure.of(error))
            settled = await persistently(self._clock, lambda: self._ledger.settle(bare))
        return settled.receipt

    async def refuse(
        self,
        plan: PlanRecord,
        record: ExecutionRecord,
        resolved: Resolved | None,
        failure: Failure,
        *,
        epoch: int | None = None,
    ) -> ExecutionRecord:
        """Settle an execution that may not begin, so that it too has a receipt; `epoch` is that of a claim, if any.

        Nothing ran: where another claim came between, the same is stated again under a newer epoch.
        """
        now = self._clock.now()
        while True:
            if epoch is None:
                claimed = await self.claim(record, 0)
                if claimed.settled is not None:
                    return await self.follow(plan, record, claimed.settled)
                epoch = claimed.epoch
            request = SettleRequest(
                plan_id=plan.plan_id,
                execution_id=record.execution_id,
                epoch=epoch,
                attempt_idx=record.attempt_idx,
                outcome=OUTCOME_BY_REASON.get(failure.reason, AttemptOutcome.FAILED),
                final=True,
                cost_usd_micro=0,
                facts=facts_of(plan, record, started=now, finished=now, basis=resolved, failure=failure),
            )
            try:
                receipt = await self.settle(request)
            except Conflict:
                epoch = None
            else:
                return await self.follow(plan, replace(record, start_time=record.start_time or now), receipt)

    async def follow(self, plan: PlanRecord, record: ExecutionRecord, receipt: Receipt) -> ExecutionRecord:
        """Do what a receipt of this execution says: it is the truth, whoever wrote it."""
        succeeded = receipt.outcome is AttemptOutcome.SUCCEEDED
        record = replace(record, outcome=receipt.outcome, cost_usd_micro=record.cost_usd_micro + _spent(receipt))
        if succeeded:
            await persistently(
                self._clock,
                lambda: self._world.commit(
                    plan.world, plan.plan_id, record.execution_id, receipt.epoch, receipt.receipt_id, receipt.outputs
                ),
            )
            self._reach("committed")
        else:
            await persistently(self._clock, lambda: self._world.abort(record.execution_id, receipt.epoch))
        if not receipt.final:
            return await self._queue(record, _failure_in(receipt), lost=receipt.outcome is AttemptOutcome.LOST)
        ended = replace(
            record,
            state=_STATE_BY_OUTCOME.get(receipt.outcome, ExecutionState.FAILED),
            epoch=receipt.epoch,
            waits_for=None,
            chunks=None,  # the receipt names them
            attempt=None,
            failure=_failure_in(receipt),
            outputs=receipt.outputs,
            named_outputs=_mapping(receipt.document.get("named_outputs")),
            receipt_id=receipt.receipt_id,
            finish_time=self._clock.now(),
        )
        saved = await self.save(ended, _memo_entry(record, ended) if plan.replay_of is None else None)
        self._reach("saved")
        await self._runs.clean_up(record)
        return saved

    async def lose(self, record: ExecutionRecord, failure: Failure | None) -> ExecutionRecord:
        """Leave this attempt behind, for nobody can settle it here: the execution is queued for another.

        The next claim closes it as lost, or gets the receipt of whoever settled it.
        """
        return await self._queue(record, failure, lost=True)

    async def _queue(self, record: ExecutionRecord, failure: Failure | None, *, lost: bool) -> ExecutionRecord:
        following = replace(
            record,
            state=ExecutionState.QUEUED,
            attempt=None,
            attempt_idx=record.attempt_idx + 1,
            losses=record.losses + lost,
            failure=failure,
        )
        saved = await self.save(following)
        await self._runs.clean_up(record)
        return saved

    async def save(self, record: ExecutionRecord, entry: MemoEntry | None = None) -> ExecutionRecord:
        """Record where the execution stands, and a result to remember with it."""
        saved = await persistently(self._clock, lambda: self._state.save_executions([record], entry))
        return saved[0]


def _bare(request: SettleRequest, failure: Failure) -> SettleRequest:
    """The same end as a failure that says why, without anything that can be large."""
    facts = {name: value for name, value in request.facts.items() if not isinstance(value, Mapping | list)}
    return replace(
        request,
        outcome=AttemptOutcome.FAILED,
        final=True,
        outputs=(),
        facts=facts | {"failure": failure.to_document()},
        events=(),
    )


def _failure_in(receipt: Receipt) -> Failure | None:
    match receipt.document.get("failure"):
        case {"reason": str(reason), "message": str(message), "metadata": dict(metadata)}:
            return Failure(reason, message, {key: str(value) for key, value in metadata.items()})
    if receipt.outcome is AttemptOutcome.SUCCEEDED:
        return None
    return Failure("ATTEMPT_LOST", "the attempt was closed by a later claim", {})


def _spent(receipt: Receipt) -> int:
    """All that the attempt cost: what the cap did not admit is owed, not saved."""
    amounts = (_mapping(receipt.document.get("budget")).get(field) for field in ("spent_usd_micro", "debt_usd_micro"))
    return sum(amount for amount in amounts if isinstance(amount, int))


def _memo_entry(before: ExecutionRecord, ended: ExecutionRecord) -> MemoEntry | None:
    """What to remember: a success of an attempt that really ran, if its key says all that it depends on."""
    if ended.outcome is not AttemptOutcome.SUCCEEDED or before.attempt is None or ended.receipt_id is None:
        return None
    if not memo.complete(before.attempt.components, before.volumes):
        return None
    return MemoEntry(
        memo_key=before.attempt.memo_key,
        processor=before.processor,
        components=before.attempt.components,
        plan_id=before.plan_id,
        execution_id=before.execution_id,
        receipt_id=ended.receipt_id,
        outputs=ended.outputs,
        named_outputs=ended.named_outputs or {},
        create_time=ended.finish_time or before.attempt.start_time,
    )


def _mapping(value: JSON) -> Mapping[str, JSON]:
    return value if isinstance(value, Mapping) else {}
