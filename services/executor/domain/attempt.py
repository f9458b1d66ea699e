"""Carrying an execution out: resolve, memo, admission, claim, run, settle, commit, in that order.

The same code runs an execution for the first time and takes it up after a crash: each step is named after the attempt
and may be repeated, and what the ledger says about the end of an attempt wins over what this process believes.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from functools import partial

from services.executor.domain import memo, predicates
from services.executor.domain.cancel import CANCELLED, Stop, Stopped
from services.executor.domain.collect import Collected
from services.executor.domain.cost import cost_usd_micro
from services.executor.domain.ending import Endings
from services.executor.domain.fixing import Fixing
from services.executor.domain.flights import Flights
from services.executor.domain.lines import Lines
from services.executor.domain.patience import patiently
from services.executor.domain.resolve import Resolved, Resolver
from services.executor.domain.run import Runs
from services.executor.domain.seats import Seats
from services.executor.domain.statement import facts_of, memo_event, written_events
from services.executor.domain.view import AttemptView
from services.executor.ports import AttemptRecord, ExecutionRecord, ExecutorState, Judge, MemoEntry, PlanRecord, World
from theory.core.clock import Clock, until_set
from theory.core.errors import Conflict, NotFound, NotReady, TheoryError
from theory.core.execution import ExecutionState, Failure, MemoVerdict
from theory.core.ids import PlanId
from theory.core.jcs import JSON
from theory.core.receipt import AttemptOutcome
from theory.core.settle import SettleRequest
from theory.core.spec import PolicyDoc, RegistrySnapshot

_log = logging.getLogger(__name__)

_FINAL = frozenset({AttemptOutcome.SUCCEEDED, AttemptOutcome.CANCELLED})
"""What no policy tries again."""


class Attempts:
    """Drives executions to their end, whatever happens in between."""

    def __init__(  # noqa: PLR0913 - each is a part of the rules
        self,
        *,
        state: ExecutorState,
        world: World,
        resolver: Resolver,
        judge: Judge,
        runs: Runs,
        endings: Endings,
        lines: Lines,
        clock: Clock,
        max_in_flight: int,
        reach: Callable[[str], None],
    ) -> None:
        self._state = state
        self._world = world
        self._resolver = resolver
        self._judge = judge
        self._runs = runs
        self._endings = endings
        self._fixing = Fixing(world=world, clock=clock, save=endings.save, reach=reach)
        self._clock = clock
        self._seats = Seats(max_in_flight, Flights(state, clock))
        self._lines = lines
        self._reach = reach

    async def take_up(self, plan: PlanRecord, records: Iterable[ExecutionRecord]) -> None:
        """Before anything else begins: keep their places for attempts that an earlier process began."""
        for record in records:
            if record.attempt is not None and self._is_here(record.attempt):
                key = _shared_key(plan, record, record.attempt.memo_key, record.attempt.components)
                await self._seats.take_up(record, key)

    async def let_go(self, plan_id: PlanId) -> None:
        """Nobody carries the plan out any more: give back what is kept for it."""
        await self._seats.let_go(plan_id)

    @property
    def begun(self) -> frozenset[PlanId]:
        """The plans of which attempts left something here that is not removed yet."""
        return self._runs.begun

    async def abandon_here(self, plan_id: PlanId) -> None:
        """Another executor carries the plan out: nothing of it may be left here."""
        await self._runs.abandon(plan_id)

    async def carry_out(
        self, plan: PlanRecord, snapshot: RegistrySnapshot, record: ExecutionRecord, stop: Stop
    ) -> ExecutionRecord:
        """Drive `record` to a terminal state, through as many attempts as the policy allows, or until `stop` is set."""
        policy = snapshot.get_policy(plan.policy)
        while not record.state.terminal:
            try:
                async with AsyncExitStack() as held:
                    record = await self._let_in(held, plan, policy, record, stop)
                    await self._entered(held, self._seats.slot(record), record, stop)
                    record = await self._step(plan, snapshot, policy, record, stop)
            except Stopped:
                record = await self._endings.refuse(plan, record, None, CANCELLED)
            if record.state is ExecutionState.QUEUED:
                # Without its slot: others run meanwhile.
                await until_set(stop.event, self._clock, policy.backoff_ms_after(record.attempt_idx - 1) / 1000)
        return record

    async def _let_in(
        self, held: AsyncExitStack, plan: PlanRecord, policy: PolicyDoc, record: ExecutionRecord, stop: Stop
    ) -> ExecutionRecord:
        """Wait for the limits of the policy before anything that others could use is taken."""
        if record.attempt is not None:
            return await self._lines.let_in(held, plan, policy, record)
        async with stop.heeded():
            return await self._lines.let_in(held, plan, policy, record)

    async def _entered(
        self,
        held: AsyncExitStack,
        manager: AbstractAsyncContextManager[None],
        record: ExecutionRecord,
        stop: Stop,
    ) -> None:
        """Wait to be let in, or for `stop` where nothing of the execution is under way that had to be ended first."""
        if record.attempt is not None:
            await held.enter_async_context(manager)
            return
        async with stop.heeded():
            await held.enter_async_context(manager)

    async def abandon(self, plan: PlanRecord, record: ExecutionRecord, failure: Failure) -> ExecutionRecord:
        """End an execution whose plan cannot be carried on; what was settled of it before stays."""
        try:
            return await self._endings.refuse(plan, record, None, failure)
        except Exception:  # noqa: BLE001 - what broke the plan may break this, too; nothing may stay open
            _log.exception("execution.left", extra={"theory_fields": {"execution_id": record.execution_id.text}})
            now = self._clock.now()
            ended = replace(
                record, state=ExecutionState.FAILED, chunks=None, attempt=None, failure=failure, finish_time=now
            )
            return await self._endings.save(ended)

    async def _step(
        self,
        plan: PlanRecord,
        snapshot: RegistrySnapshot,
        policy: PolicyDoc,
        record: ExecutionRecord,
        stop: Stop,
    ) -> ExecutionRecord:
        if record.attempt is None:
            return await self._begin(plan, snapshot, policy, record, stop)
        if not self._is_here(record.attempt):
            # What it did elsewhere is nobody's: the next claim closes it, or returns what was settled meanwhile.
            failure = Failure("ATTEMPT_LOST", "the executor that carried it out is gone", {})
            return await self._endings.lose(record, failure)
        key = _shared_key(plan, record, record.attempt.memo_key, record.attempt.components)
        async with self._seats.flight(record, key):
            return await self._attempt(plan, snapshot, policy, record, record.attempt, stop)

    def _is_here(self, attempt: AttemptRecord) -> bool:
        return attempt.holder == self._state.holder

    async def _begin(
        self,
        plan: PlanRecord,
        snapshot: RegistrySnapshot,
        policy: PolicyDoc,
        record: ExecutionRecord,
        stop: Stop,
    ) -> ExecutionRecord:
        try:
            record = await self._fixing.fix(plan, record)
            async with stop.heeded():
                resolved = await patiently(self._clock, lambda: self._resolver.resolve(plan, snapshot, record))
        except TheoryError as error:
            return await self._endings.refuse(plan, record, None, Failure.of(error))
        async with AsyncExitStack() as held:
            key = _shared_key(plan, record, resolved.memo_key, resolved.components)
            await self._entered(held, self._seats.flight(record, key), record, stop)
            if key is not None:
                if entry := await patiently(self._clock, lambda: self._state.memo(resolved.memo_key)):
                    reused = await self._reuse(plan, record, resolved, entry)
                    if reused is not None:
                        return reused
                record = replace(record, memo=await self._miss(record, resolved))
            try:
                view = AttemptView(self._world, plan.world, (), record.chunks or ())
                admission, names = resolved.processor.admission, {"inputs": record.inputs}
                await patiently(self._clock, lambda: predicates.check(admission, view, snapshot, names, self._judge))
            except TheoryError as error:
                return await self._endings.refuse(plan, record, resolved, Failure.of(error))
            return await self._claim_and_attempt(plan, snapshot, policy, record, resolved, stop)

    async def _miss(self, record: ExecutionRecord, resolved: Resolved) -> MemoVerdict:
        look = partial(
            self._state.recent_components,
            record.processor,
            write_prefix=record.write_prefix,
            limit=memo.NEAREST_SEARCHED,
        )
        earlier = await patiently(self._clock, look)
        found = memo.differences(resolved.components, earlier)
        return MemoVerdict(resolved.memo_key, hit=False, differences=found)

    async def _claim_and_attempt(
        self,
        plan: PlanRecord,
        snapshot: RegistrySnapshot,
        policy: PolicyDoc,
        record: ExecutionRecord,
        resolved: Resolved,
        stop: Stop,
    ) -> ExecutionRecord:
        try:
            claimed = await self._endings.claim(record, resolved.reserve_usd_micro)
        except NotReady as error:
            return await self._endings.refuse(plan, record, resolved, Failure.of(error))
        self._reach("claimed")
        if claimed.settled is not None:
            return await self._endings.follow(plan, record, claimed.settled)
        now = self._clock.now()
        attempt = AttemptRecord(
            attempt_idx=record.attempt_idx,
            epoch=claimed.epoch,
            image_digest=resolved.image_digest,
            memo_key=resolved.memo_key,
            inputs=resolved.inputs,
            components=resolved.components,
            reserve_receipt=claimed.reserve_receipt.preimage if claimed.reserve_receipt else None,
            start_time=now,
            holder=self._state.holder,
        )
        began = replace(
            record,
            state=ExecutionState.RUNNING,
            epoch=claimed.epoch,
            attempt=attempt,
            start_time=record.start_time or now,
        )
        record = await self._endings.save(began)
        self._reach("recorded")
        return await self._attempt(plan, snapshot, policy, record, attempt, stop)

    async def _attempt(
        self,
        plan: PlanRecord,
        snapshot: RegistrySnapshot,
        policy: PolicyDoc,
        record: ExecutionRecord,
        attempt: AttemptRecord,
        stop: Stop,
    ) -> ExecutionRecord:
        ended = await self._runs.run(plan, snapshot, record, attempt, stop)
        result = ended.result
        finished = result.finished_at if result is not None and result.finished_at is not None else self._clock.now()
        started = result.started_at if result is not None and result.started_at is not None else attempt.start_time
        succeeded = ended.outcome is AttemptOutcome.SUCCEEDED
        written = ended.collected if succeeded and ended.collected is not None else Collected((), {}, 0)
        reported = ended.collected.reported_usd_micro if ended.collected is not None else 0
        processor = snapshot.get_processor(record.processor)
        losses = record.losses + (ended.outcome is AttemptOutcome.LOST)
        request = SettleRequest(
            plan_id=plan.plan_id,
            execution_id=record.execution_id,
            epoch=attempt.epoch,
            attempt_idx=attempt.attempt_idx,
            outcome=ended.outcome,
            final=ended.outcome in _FINAL or not policy.retries(ended.outcome, attempt.attempt_idx, losses),
            cost_usd_micro=cost_usd_micro(policy, processor, started, finished, reported),
            outputs=written.outputs,
            facts=facts_of(
                plan,
                record,
                started=started,
                finished=finished,
                basis=attempt,
                named_outputs=written.named_outputs if succeeded else None,
                failure=ended.failure,
                exit_code=result.exit_code if result is not None else None,
            ),
            events=written_events(plan, record, attempt.epoch, written.outputs, finished),
        )
        if result is not None:
            record = replace(record, log_tail=result.logs_tail)
        try:
            receipt = await self._endings.settle(request)
        except Conflict:
            # Fenced: the attempt is nobody's any more. The next claim closes it, or returns what was settled.
            facts = {"execution_id": record.execution_id.text, "epoch": attempt.epoch}
            _log.warning("attempt.fenced", extra={"theory_fields": facts})
            return await self._endings.lose(record, ended.failure)
        self._reach("settled")
        return await self._endings.follow(plan, record, receipt)

    async def _reuse(
        self, plan: PlanRecord, record: ExecutionRecord, resolved: Resolved, entry: MemoEntry
    ) -> ExecutionRecord | None:
        """Bind a remembered result at no cost; None where its bytes are no longer kept."""
        now = self._clock.now()
        verdict = MemoVerdict(entry.memo_key, hit=True, source_execution_id=entry.execution_id)
        record = replace(record, memo=verdict, start_time=record.start_time or now)
        claimed = await self._endings.claim(record, 0)
        if claimed.settled is not None:
            return await self._endings.follow(plan, record, claimed.settled)
        try:
            await self._runs.prepare(plan, record, claimed.epoch, Collected(entry.outputs, entry.named_outputs, 0))
        except NotFound:
            return None
        except Conflict as error:
            # Fenced, or somebody else's path for too long: neither says anything about the result.
            return await self._endings.lose(record, Failure.of(error))
        except TheoryError as error:
            return await self._endings.refuse(plan, record, resolved, Failure.of(error), epoch=claimed.epoch)
        self._reach("reuse_prepared")
        request = SettleRequest(
            plan_id=plan.plan_id,
            execution_id=record.execution_id,
            epoch=claimed.epoch,
            attempt_idx=record.attempt_idx,
            outcome=AttemptOutcome.SUCCEEDED,
            final=True,
            cost_usd_micro=0,
            outputs=entry.outputs,
            facts=facts_of(
                plan,
                record,
                started=now,
                finished=now,
                basis=resolved,
                named_outputs=entry.named_outputs,
                memo_of=entry,
            ),
            events=(
                memo_event(record, claimed.epoch, entry, now),
                *written_events(plan, record, claimed.epoch, entry.outputs, now),
            ),
        )
        try:
            receipt = await self._endings.settle(request)
        except Conflict:
            return await self._endings.lose(record, None)
        self._reach("reuse_settled")
        return await self._endings.follow(plan, record, receipt)


def _shared_key(plan: PlanRecord, record: ExecutionRecord, memo_key: str, components: Mapping[str, JSON]) -> str | None:
    """The key under which others may take the result, and their results may be taken; None where nobody may."""
    shared = plan.replay_of is None and memo.complete(components, record.volumes)
    return memo_key if shared else None
