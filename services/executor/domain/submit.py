"""Accepting a plan: what can be known before it begins is checked, then all of it is recorded or nothing."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from services.executor.domain import predicates
from services.executor.domain.isolation import admitted
from services.executor.domain.resolve import secret_tags
from services.executor.domain.volumes import require_mountable
from services.executor.ports import (
    ExecutionRecord,
    ExecutorState,
    Peers,
    PlanFileRecord,
    PlanRecord,
    Runtime,
)
from theory.core import jcs
from theory.core.cid import Cid
from theory.core.clock import Clock
from theory.core.errors import AlreadyExists, Invalid, NotFound, NotReady, TheoryError
from theory.core.execution import ExecutionState, PlanState
from theory.core.ids import IdSource, PlanId, RequestId, execution_id_of
from theory.core.plan import PlanSpec, Step, default_write_prefix, expand
from theory.core.refs import Ref, SpecKind
from theory.core.selector import resolve_write_set
from theory.core.spec import PolicyDoc, ProcessorSpec, RegistrySnapshot
from theory.core.world_path import WorldName


class Submissions:
    """Turns what a client submits into a plan that will be carried out."""

    def __init__(
        self,
        *,
        state: ExecutorState,
        peers: Peers,
        runtimes: Mapping[str, Runtime],
        default_runtime: str,
        required_isolation: str,
        clock: Clock,
        ids: IdSource,
        begin: Callable[[PlanRecord], None],
    ) -> None:
        self._state = state
        self._registry = peers.registry
        self._world = peers.world
        self._secrets = peers.secrets
        self._scratch = peers.scratch
        self._runtimes = runtimes
        self._default_runtime = default_runtime
        self._required_isolation = required_isolation
        self._clock = clock
        self._ids = ids
        self._begin = begin

    async def submit(self, request_id: RequestId, spec: PlanSpec) -> PlanRecord:
        """Record a plan and begin it, or find the one that was recorded under this id.

        `Invalid` (`PLAN_INVALID`, `WRITE_PREFIX_REFUSED`) with `field`; `NotFound` (`SPEC_UNKNOWN`, `BLOB_UNKNOWN`,
        `SECRET_UNKNOWN`); `NotReady` (`RUNTIME_UNKNOWN`, `ENGINE_DOWN`, `ISOLATION_MISSING`, `BUDGET_INSUFFICIENT`);
        `Unsupported` (`CAPABILITY_MISSING` for volumes that its runtime cannot mount); `AlreadyExists`
        (`REQUEST_ID_TAKEN`).
        """
        digest = Cid.of(jcs.canonical(spec.to_document())).text
        if known := await self.known(request_id, digest):
            return known
        if spec.sources:
            raise Invalid("PLAN_INVALID", "local files are uploaded before a plan is submitted", field="files")
        steps = expand(spec)
        snapshot = await self._pin(spec)
        processors = {each.processor: snapshot.get_processor(each.processor) for each in spec.transitions}
        policy = snapshot.get_policy(spec.policy)
        budget = _budget(spec, policy)
        _check_budget(steps, processors, policy, budget)
        await self._check_runtimes(steps)
        await self._check_volumes(steps)
        await self._check_files(spec)
        await secret_tags(self._clock, self._secrets, list(processors.values()))
        plan_id = self._ids.plan_id()
        place_by_id = {each.transition_id: f"transitions[{place}]" for place, each in enumerate(spec.transitions)}
        executions = [
            self._execution(plan_id, ordinal, step, processors[step.processor], place_by_id[step.transition_id])
            for ordinal, step in enumerate(steps)
        ]
        plan = PlanRecord(
            plan_id=plan_id,
            request_id=request_id.text,
            request_digest=digest,
            name=spec.name,
            world=spec.world or WorldName.parse(plan_id.text),
            policy=spec.policy,
            snapshot_id=snapshot.snapshot_id,
            seed=spec.seed,
            max_usd_micro=budget,
            files=tuple(PlanFileRecord(each.path, each.cid, each.size_bytes, each.content_type) for each in spec.files),
            state=PlanState.QUEUED,
            create_time=self._clock.now(),
            execution_count=len(executions),
        )
        return await self.record(plan, executions)

    async def known(self, request_id: RequestId, digest: str) -> PlanRecord | None:
        """The plan that was recorded under this id, begun; `AlreadyExists` (`REQUEST_ID_TAKEN`) for another digest."""
        known = await self._state.plan_of_request(request_id.text)
        if known is None:
            return None
        if known.request_digest != digest:
            message = "the request id was used with another plan: choose a new one"
            raise AlreadyExists("REQUEST_ID_TAKEN", message, request_id=request_id.text)
        self._begin_unless_ended(known)
        return known

    async def record(self, plan: PlanRecord, executions: Sequence[ExecutionRecord]) -> PlanRecord:
        """Record a plan and begin it, or begin the one that has its request id.

        Never cancelled half way: a plan that is recorded is carried out, though its client went away.
        """
        return await asyncio.shield(self._record(plan, executions))

    async def _record(self, plan: PlanRecord, executions: Sequence[ExecutionRecord]) -> PlanRecord:
        recorded = await self._state.add_plan(plan, executions)
        self._begin_unless_ended(recorded)
        return recorded

    def _begin_unless_ended(self, plan: PlanRecord) -> None:
        if not plan.state.terminal:
            self._begin(plan)

    async def _pin(self, spec: PlanSpec) -> RegistrySnapshot:
        tools = dict.fromkeys(each.processor for each in spec.transitions)
        roots = [(SpecKind.TOOLS, ref) for ref in tools]
        return await self._registry.create_snapshot([*roots, (SpecKind.POLICIES, spec.policy)])

    async def _check_runtimes(self, steps: tuple[Step, ...]) -> None:
        for kind in sorted({step.runtime or self._default_runtime for step in steps}):
            runtime = self._runtimes.get(kind)
            if runtime is None:
                served = " ".join(sorted(self._runtimes))
                message = f"no runtime `{kind}` is served here: choose one of {served}"
                raise NotReady("RUNTIME_UNKNOWN", message, runtime=kind, served=served)
            await runtime.probe()
            await admitted(runtime, self._required_isolation)

    async def _check_volumes(self, steps: tuple[Step, ...]) -> None:
        kinds = {step.runtime or self._default_runtime for step in steps if step.volumes}
        runtimes = [runtime for kind in sorted(kinds) if (runtime := self._runtimes[kind]).needs_directory]
        if runtimes:
            stored = await self._scratch.volume_kind()
            for runtime in runtimes:
                require_mountable(runtime, stored)

    async def _check_files(self, spec: PlanSpec) -> None:
        missing = set(await self._world.missing([each.cid for each in spec.files])) if spec.files else set()
        for each in spec.files:
            if each.cid in missing:
                message = f"the bytes of {each.path} were never uploaded"
                raise NotFound("BLOB_UNKNOWN", message, cid=each.cid.text, path=each.path.text)

    def _execution(
        self, plan_id: PlanId, ordinal: int, step: Step, processor: ProcessorSpec, place: str
    ) -> ExecutionRecord:
        prefix = step.write_prefix or default_write_prefix(processor, step)
        try:
            resolve_write_set(processor.writes, prefix)
        except TheoryError as error:
            where = {"field": f"{place}.write_prefix"}
            raise Invalid(error.reason, error.message, **(error.metadata | where)) from error
        return ExecutionRecord(
            plan_id=plan_id,
            execution_id=execution_id_of(plan_id, step.transition_id, step.index),
            ordinal=ordinal,
            transition_id=step.transition_id,
            index=step.index,
            processor=step.processor,
            runtime=step.runtime or self._default_runtime,
            inputs=step.inputs,
            reads=tuple(selector.text for selector in step.reads),
            needs=step.needs,
            write_prefix=prefix.text if prefix is not None else None,
            volumes=step.volumes,
            state=ExecutionState.WAITING if step.needs else ExecutionState.QUEUED,
        )


def _budget(spec: PlanSpec, policy: PolicyDoc) -> int:
    if spec.max_usd_micro is None:
        return policy.max_usd_micro
    if spec.max_usd_micro > policy.max_usd_micro:
        message = f"the policy {policy.id} allows at most {policy.max_usd_micro} micro-USD"
        raise Invalid("PLAN_INVALID", message, field="budget.max_usd_micro")
    return spec.max_usd_micro


def _check_budget(
    steps: tuple[Step, ...], processors: Mapping[Ref, ProcessorSpec], policy: PolicyDoc, budget: int
) -> None:
    """Refuse a plan one of whose steps can never be paid for. Whether all can be is known only when they have run."""
    for step in steps:
        processor = processors[step.processor]
        asked = predicates.required_usd_micro(processor.admission)
        required = policy.default_required_usd_micro if asked is None else asked
        if required > budget and not processor.runtime.read_only_tool:
            way = "raise its budget" if required <= policy.max_usd_micro else f"its policy {policy.id} allows no more"
            message = f"{step.processor} asks for {required} micro-USD, the plan may spend {budget}: {way}"
            raise NotReady(
                "BUDGET_INSUFFICIENT",
                message,
                required_usd_micro=str(required),
                available_usd_micro=str(budget),
                transition=step.transition_id.text,
            )
