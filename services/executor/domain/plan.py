"""Carrying plans out: what is ready runs, what needs something waits for it, what can no longer run is skipped."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextvars import Context
from dataclasses import dataclass, field, replace
from functools import partial

from services.executor.domain.attempt import Attempts
from services.executor.domain.cancel import CANCELLED, Cancellations, Stops
from services.executor.domain.patience import patiently, persistently
from services.executor.domain.samples import Samples
from services.executor.ports import ExecutionRecord, ExecutorState, Peers, PlanRecord
from theory.core.artifact import Output
from theory.core.chain import NewEvent
from theory.core.clock import Clock, rfc3339
from theory.core.errors import TheoryError
from theory.core.execution import ExecutionState, Failure, PlanState
from theory.core.ids import PlanId, TransitionId
from theory.core.jcs import JSON
from theory.core.spec import PolicyDoc, RegistrySnapshot

_log = logging.getLogger(__name__)

_PAGE = 1_000
_STATE_BY_REASON = {"CANCELLED": PlanState.CANCELLED}
_FILES_AT_ONCE = 1_000


@dataclass(slots=True)
class _Progress:
    """What is left of each transition of one plan, and which of them failed."""

    left: dict[TransitionId, int] = field(default_factory=dict)
    failed: set[TransitionId] = field(default_factory=set)

    def add(self, record: ExecutionRecord) -> None:
        self.left[record.transition_id] = self.left.get(record.transition_id, 0) + 1

    def end(self, record: ExecutionRecord) -> None:
        self.left[record.transition_id] -= 1
        if record.state is not ExecutionState.SUCCEEDED:
            self.failed.add(record.transition_id)

    def ready(self, record: ExecutionRecord) -> bool:
        return not any(self.left[need] or need in self.failed for need in record.needs)

    def lost(self, record: ExecutionRecord) -> list[TransitionId]:
        return [need for need in record.needs if need in self.failed]


class Plans:
    """Carries every open plan on, from wherever it stands."""

    def __init__(
        self,
        *,
        state: ExecutorState,
        peers: Peers,
        attempts: Attempts,
        cancellations: Cancellations,
        clock: Clock,
        reach: Callable[[str], None],
    ) -> None:
        self._state = state
        self._registry = peers.registry
        self._ledger = peers.ledger
        self._world = peers.world
        self._scratch = peers.scratch
        self._samples = Samples(world=peers.world, scratch=peers.scratch, clock=clock)
        self._attempts = attempts
        self._cancellations = cancellations
        self._clock = clock
        self._reach = reach
        self._resumed = False
        self._running: dict[PlanId, asyncio.Task[None]] = {}
        self._held: set[PlanId] = set()

    async def resume(self) -> None:
        """Take up every plan that is recorded and has not ended."""
        for plan in await self._state.open_plans():
            await self._take_up(plan)
        self._resumed = True
        # Again: what came meanwhile was told to wait.
        for plan in await self._state.open_plans():
            self.begin(plan)

    async def take_free(self) -> None:
        """Carry on what nobody holds, or what is held here and was let go."""
        for plan in await self._state.open_plans():
            if plan.plan_id not in self._running:
                await self._take_up(plan)
                self.begin(plan)

    async def _take_up(self, plan: PlanRecord) -> None:
        if not plan.state.terminal and await self._state.take_plan(plan.plan_id):
            await self._attempts.take_up(plan, await self._executions(plan))

    def begin(self, plan: PlanRecord) -> None:
        """Carry `plan`, which is recorded, on in the background; nothing happens where that is under way.

        Before `resume` nothing begins: what an earlier process left is swept first, and nothing new may be among it.
        """
        if self._resumed and plan.plan_id not in self._running:
            # In a context of its own: the deadline of the call that submitted it is not the plan's.
            task = asyncio.create_task(self._carry(plan), name=f"plan {plan.plan_id}", context=Context())
            self._running[plan.plan_id] = task
            task.add_done_callback(lambda _: self._running.pop(plan.plan_id, None))

    async def drop(self, plan_ids: Iterable[PlanId]) -> None:
        """Leave plans to another executor, and nothing of theirs here."""
        for plan_id in plan_ids:
            if task := self._running.get(plan_id):
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            await self._attempts.abandon_here(plan_id)

    @property
    def carried(self) -> frozenset[PlanId]:
        """The plans that were taken and are carried on now, and those of which something is left here."""
        return frozenset(self._held) | self._attempts.begun

    async def close(self) -> None:
        """Let go of all plans; the next process takes them up where they stand."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry(self, plan: PlanRecord) -> None:
        plan_id = plan.plan_id
        try:
            if not await patiently(self._clock, lambda: self._state.take_plan(plan_id)):
                return  # another executor carries it on
            self._held.add(plan_id)
            try:
                # As it stands now: whoever asked may have read it a while ago.
                plan = await patiently(self._clock, lambda: self._state.plan(plan_id))
                if not plan.state.terminal:
                    plan = await self._carry_to_its_end(plan)
            finally:
                await self._attempts.let_go(plan_id)
            await self._end_scratch(plan)
        except Exception:  # noqa: BLE001 - nobody waits for this task; the next start takes the plan up again
            _log.exception("plan.left", extra={"theory_fields": {"plan_id": plan_id.text}})
        finally:
            self._held.discard(plan_id)

    async def _carry_to_its_end(self, plan: PlanRecord) -> PlanRecord:
        try:
            return await self._carry_out(plan)
        except TheoryError as error:
            failure = Failure.of(error)
        except Exception:  # noqa: BLE001 - a bug of ours ends this one plan; unseen, it would hang for ever
            _log.exception("plan.broke", extra={"theory_fields": {"plan_id": plan.plan_id.text}})
            failure = Failure("INTERNAL", "the executor broke on this plan; its log says where", {})
        _log.warning("plan.stopped", extra={"theory_fields": {"plan_id": plan.plan_id.text, "reason": failure.reason}})
        return await self._give_up(plan.plan_id, failure)

    async def _carry_out(self, plan: PlanRecord) -> PlanRecord:
        snapshot = await patiently(self._clock, lambda: self._registry.snapshot(plan.snapshot_id))
        policy = snapshot.get_policy(plan.policy)
        if plan.state is PlanState.QUEUED:
            await self._open(plan, policy)
            plan = await self._save(replace(plan, state=PlanState.RUNNING))
            self._reach("opened")
        async with (
            self._cancellations.followed(plan.plan_id) as stops,
            self._samples.taken(plan, policy.queue_stats_s),
        ):
            failed = await self._run_executions(plan, snapshot, stops)
        said = f"{failed} of {plan.execution_count} executions did not succeed"
        failure = Failure("CANCELLED" if stops.whole else "EXECUTIONS_FAILED", said, {})
        return await self._finish(plan, failure if failed else None)

    async def _give_up(self, plan_id: PlanId, failure: Failure) -> PlanRecord:
        """End a plan that cannot be carried on, and before it whatever of it is still open."""
        plan = await patiently(self._clock, lambda: self._state.plan(plan_id))
        skipped: list[ExecutionRecord] = []
        for record in await self._executions(plan):
            if record.state is ExecutionState.WAITING or (plan.state is PlanState.QUEUED and not record.state.terminal):
                now = self._clock.now()
                skipped.append(replace(record, state=ExecutionState.SKIPPED, failure=failure, finish_time=now))
            elif not record.state.terminal:
                await self._attempts.abandon(plan, record, failure)
        await persistently(self._clock, lambda: self._state.save_executions(skipped))
        return await self._finish(plan, failure)

    async def _open(self, plan: PlanRecord, policy: PolicyDoc) -> None:
        """Account, first events, scratch, files: each may be repeated after a crash."""
        await persistently(self._clock, lambda: self._ledger.open_budget(plan.plan_id, plan.max_usd_micro))
        event = self._event(
            plan,
            "plan.submitted",
            rfc3339(plan.create_time),
            {
                "name": plan.name,
                "world": plan.world.text,
                "snapshot_id": plan.snapshot_id,
                "policy": plan.policy.text,
                "request_digest": plan.request_digest,
                "executions": plan.execution_count,
                "max_usd_micro": plan.max_usd_micro,
            },
        )
        await persistently(self._clock, lambda: self._ledger.append(plan.plan_id.text, [event]))
        await persistently(self._clock, lambda: self._scratch.begin_plan(plan.plan_id, policy.event_every))
        files = [Output(each.path, each.cid, each.size_bytes, each.content_type) for each in plan.files]
        for start in range(0, len(files), _FILES_AT_ONCE):
            bind = partial(self._world.bind_files, plan.world, plan.plan_id, files[start : start + _FILES_AT_ONCE])
            await persistently(self._clock, bind)

    async def _run_executions(self, plan: PlanRecord, snapshot: RegistrySnapshot, stops: Stops) -> int:
        """Run all that can run; returns how many did not succeed."""
        progress = _Progress()
        waiting: list[ExecutionRecord] = []
        running: set[asyncio.Task[ExecutionRecord]] = set()
        failed = 0
        # First those that are under way: the limits of the policy let them in beyond themselves, if they must.
        records = sorted(await self._executions(plan), key=lambda each: each.attempt is None)
        for record in records:
            progress.add(record)
        for record in records:
            if record.state.terminal:
                progress.end(record)
                failed += record.state is not ExecutionState.SUCCEEDED
            elif record.state is ExecutionState.WAITING:
                waiting.append(record)
            else:
                running.add(self._start(plan, snapshot, record, stops))
        try:
            while waiting or running:
                stops.news.clear()
                waiting, ready, skipped = await self._release(waiting, progress, stops)
                failed += skipped
                running |= {self._start(plan, snapshot, record, stops) for record in ready}
                if not running:
                    continue
                done = await _first_ended(running, stops.news if waiting else None)
                running -= done
                for task in done:
                    ended = task.result()
                    progress.end(ended)
                    failed += ended.state is not ExecutionState.SUCCEEDED
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        return failed

    async def _release(
        self, waiting: Iterable[ExecutionRecord], progress: _Progress, stops: Stops
    ) -> tuple[list[ExecutionRecord], list[ExecutionRecord], int]:
        """Sort the waiting: who waits on, who is ready, and how many are to end, or need something that failed."""
        still, ready, skipped = [], [], []
        for record in waiting:
            now = self._clock.now()
            if stops.asked(record.execution_id):
                skipped.append(replace(record, state=ExecutionState.CANCELLED, failure=CANCELLED, finish_time=now))
            elif lost := progress.lost(record):
                names = " ".join(need.text for need in lost)
                failure = Failure("NEED_FAILED", f"it needs {names}, which failed", {"needs": names})
                skipped.append(replace(record, state=ExecutionState.SKIPPED, failure=failure, finish_time=now))
            elif progress.ready(record):
                ready.append(replace(record, state=ExecutionState.QUEUED))
            else:
                still.append(record)
        if ready or skipped:
            saved = await persistently(self._clock, lambda: self._state.save_executions([*ready, *skipped]))
            ready = saved[: len(ready)]
        for record in skipped:
            progress.end(record)
        return still, ready, len(skipped)

    def _start(
        self, plan: PlanRecord, snapshot: RegistrySnapshot, record: ExecutionRecord, stops: Stops
    ) -> asyncio.Task[ExecutionRecord]:
        carrying = self._attempts.carry_out(plan, snapshot, record, stops.of(record.execution_id))
        return asyncio.create_task(carrying, name=f"execution {record.execution_id}")

    async def _finish(self, plan: PlanRecord, failure: Failure | None) -> PlanRecord:
        self._reach("finishing")
        now = self._clock.now()
        state = PlanState.SUCCEEDED if failure is None else _STATE_BY_REASON.get(failure.reason, PlanState.FAILED)
        body: dict[str, JSON] = {"executions": plan.execution_count}
        if failure is not None:
            body["failure"] = failure.to_document()
        event = self._event(plan, f"plan.{state}", rfc3339(now), body)
        await persistently(self._clock, lambda: self._ledger.append(plan.plan_id.text, [event]))
        return await self._save(replace(plan, state=state, failure=failure, finish_time=now))

    async def _end_scratch(self, plan: PlanRecord) -> None:
        if plan.scratch_ended or plan.finish_time is None:
            return
        left_s = await self._keep_s(plan) - (self._clock.now() - plan.finish_time).total_seconds()
        await self._clock.sleep(max(0.0, left_s))
        await persistently(self._clock, lambda: self._scratch.end_plan(plan.plan_id))
        await self._save(replace(plan, scratch_ended=True))

    async def _keep_s(self, plan: PlanRecord) -> int:
        try:
            snapshot = await patiently(self._clock, lambda: self._registry.snapshot(plan.snapshot_id))
            return snapshot.get_policy(plan.policy).keep_s
        except TheoryError as error:  # nobody can say any more
            facts = {"plan_id": plan.plan_id.text, "reason": error.reason}
            _log.warning("plan.snapshot_gone", extra={"theory_fields": facts})
            return 0

    async def _executions(self, plan: PlanRecord) -> list[ExecutionRecord]:
        found: list[ExecutionRecord] = []
        while len(found) < plan.execution_count:
            read = partial(self._state.executions, plan.plan_id, from_ordinal=len(found), limit=_PAGE)
            page = await patiently(self._clock, read)
            if not page:
                break
            found += page
        return found

    async def _save(self, plan: PlanRecord) -> PlanRecord:
        return await persistently(self._clock, lambda: self._state.save_plan(plan))

    def _event(self, plan: PlanRecord, kind: str, ts: str, body: dict[str, JSON]) -> NewEvent:
        # One of each per plan: a repeat after a crash is the same event.
        name = kind if kind == "plan.submitted" else "plan.finished"
        return NewEvent(event_id=f"{name}/{plan.plan_id}", kind=kind, ts=ts, body=body)


async def _first_ended(
    running: set[asyncio.Task[ExecutionRecord]], news: asyncio.Event | None
) -> set[asyncio.Task[ExecutionRecord]]:
    """Those that have ended, once one has; or none, once there is news."""
    if news is None:
        return (await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED))[0]
    hearing = asyncio.ensure_future(news.wait())
    try:
        await asyncio.wait({*running, hearing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        hearing.cancel()
    return {task for task in running if task.done()}
