"""Steps 4 to 8 of an attempt: its place, its processor, what it wrote, the reservation, the success predicates."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from services.executor.domain import predicates
from services.executor.domain.cancel import CANCELLED, Stop
from services.executor.domain.collect import Collected, collect
from services.executor.domain.leftovers import Leftovers
from services.executor.domain.patience import patiently
from services.executor.domain.resolve import Resolver
from services.executor.domain.serving import Serving
from services.executor.domain.statement import check_fits, fingerprint_of
from services.executor.domain.view import AttemptView
from services.executor.domain.volumes import located
from services.executor.ports import (
    AttemptPlace,
    AttemptRecord,
    ExecutionRecord,
    Judge,
    Peers,
    PlaceRequest,
    Places,
    PlanRecord,
)
from theory.core import jcs
from theory.core.clock import Clock
from theory.core.context import ExpandedContext, ProcessorResult
from theory.core.errors import Conflict, Corrupt, TheoryError
from theory.core.execution import Failure
from theory.core.ids import PlanId
from theory.core.receipt import AttemptOutcome, Receipt
from theory.core.spec import RegistrySnapshot

_log = logging.getLogger(__name__)

OUTCOME_BY_REASON: Mapping[str, AttemptOutcome] = {
    "OUTPUT_REFUSED": AttemptOutcome.INVALID_OUTPUT,
    "PATH_BOUND": AttemptOutcome.INVALID_OUTPUT,
    "PATH_SHADOWED": AttemptOutcome.INVALID_OUTPUT,
    "PREDICATE_REFUSED": AttemptOutcome.PREDICATE_REFUSED,
    "PREDICATE_TIMED_OUT": AttemptOutcome.PREDICATE_REFUSED,
    CANCELLED.reason: AttemptOutcome.CANCELLED,
}
"""How an attempt ended, where it was not its processor that ended it; anything else is FAILED."""

WORLD_MOUNT = "/work/world"
SCRATCH_DIR = "/work/out"
"""Where a processor finds its world and its output, wherever they lie on this machine."""

_RESERVED_PAUSE_S = 0.2
_RESERVED_TRIES = 50
"""How long an attempt waits for a path that another live execution has reserved, before it fails."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one attempt may leave behind."""

    max_output_bytes: int
    max_output_files: int


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt ended, before the ledger knows."""

    outcome: AttemptOutcome
    collected: Collected | None
    failure: Failure | None
    result: ProcessorResult | None


def place_name(record: ExecutionRecord) -> str:
    """What the current attempt's directory, container and mounts are called."""
    return f"{record.execution_id.text}-a{record.attempt_idx}"


class Runs:
    """Runs attempts in their places."""

    def __init__(  # noqa: PLR0913 - each is a part of the rules
        self,
        *,
        peers: Peers,
        places: Places,
        serving: Serving,
        leftovers: Leftovers,
        resolver: Resolver,
        judge: Judge,
        clock: Clock,
        limits: Limits,
        reach: Callable[[str], None],
    ) -> None:
        self._world = peers.world
        self._secrets = peers.secrets
        self._scratch = peers.scratch
        self._places = places
        self._serving = serving
        self._leftovers = leftovers
        self._resolver = resolver
        self._judge = judge
        self._clock = clock
        self._limits = limits
        self._reach = reach
        self._begun: dict[PlanId, dict[str, str]] = {}
        """What attempts of each plan left here, or will: runtimes by the names of places."""

    async def run(
        self,
        plan: PlanRecord,
        snapshot: RegistrySnapshot,
        record: ExecutionRecord,
        attempt: AttemptRecord,
        stop: Stop,
    ) -> Ended:
        """Run one attempt, or take it up where it is. What goes wrong is its outcome, not an error of the executor.

        Once it is to `stop` its processor is ended; what has exited before is collected as ever.
        """
        result: ProcessorResult | None = None
        collected: Collected | None = None
        self._begun.setdefault(plan.plan_id, {})[place_name(record)] = record.runtime
        try:
            place, context = await self._place(plan, snapshot, record, attempt)
            self._reach("placed")
            runtime = self._resolver.runtime(record.runtime)
            async with AsyncExitStack() as held:
                if runtime.needs_directory:
                    await held.enter_async_context(self._serving.attempt(plan, snapshot, record, attempt, place))
                await held.enter_async_context(stop.passed_on(lambda: runtime.cancel(context), self._clock))
                result = await runtime.invoke(record.processor.text, context, image_digest=attempt.image_digest)
            self._reach("exited")
            if result.outcome is not AttemptOutcome.SUCCEEDED:
                timeout_s = snapshot.get_processor(record.processor).runtime.timeout_s
                return Ended(result.outcome, None, _failure_of(result, timeout_s), result)
            collected = await patiently(self._clock, lambda: self._collect(place, context))
            if collected is None:
                failure = Failure("ATTEMPT_LOST", "its place is gone, and with it what the processor wrote", {})
                return Ended(AttemptOutcome.LOST, None, failure, result)
            self._reach("collected")
            check_fits(plan, record, attempt, collected.outputs)
            await self.prepare(plan, record, attempt.epoch, collected)
            self._reach("prepared")
            await self._check_success(plan, snapshot, record, collected)
        except TheoryError as error:
            outcome = OUTCOME_BY_REASON.get(error.reason, AttemptOutcome.FAILED)
            return Ended(outcome, collected, Failure.of(error), result)
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
            # Not this task was to end, but something that it waited for: unseen, it would hang its plan for ever.
            failure = Failure("ATTEMPT_LOST", "whoever carried it out gave it up", {})
            return Ended(AttemptOutcome.LOST, collected, failure, result)
        except Exception:  # noqa: BLE001 - a bug of ours ends this one attempt; unseen, it would hang its plan for ever
            _log.exception("attempt.broke", extra={"theory_fields": {"execution_id": record.execution_id.text}})
            failure = Failure("INTERNAL", "the executor broke on this attempt; its log says where", {})
            return Ended(AttemptOutcome.FAILED, collected, failure, result)
        return Ended(AttemptOutcome.SUCCEEDED, collected, None, result)

    async def prepare(self, plan: PlanRecord, record: ExecutionRecord, epoch: int, collected: Collected) -> None:
        """Reserve the outputs, waiting a while for paths that another live execution holds."""
        for left in range(_RESERVED_TRIES, -1, -1):
            try:
                await patiently(
                    self._clock,
                    lambda: self._world.prepare(
                        plan.world, plan.plan_id, record.execution_id, epoch, collected.outputs
                    ),
                )
            except Conflict as error:
                if error.reason != "PATH_RESERVED" or not left:
                    raise
                await self._clock.sleep(_RESERVED_PAUSE_S)
            else:
                return

    async def clean_up(self, record: ExecutionRecord) -> None:
        """Remove what the attempt left, now or as soon as it can be removed."""
        if record.attempt is not None:
            name = place_name(record)
            await self._leftovers.remove(name, record.runtime)
            begun = self._begun.get(record.plan_id, {})
            begun.pop(name, None)
            if not begun:
                self._begun.pop(record.plan_id, None)

    @property
    def begun(self) -> frozenset[PlanId]:
        """The plans of which attempts are under way here, or left something that is not removed yet."""
        return frozenset(self._begun)

    async def abandon(self, plan_id: PlanId) -> None:
        """Remove what attempts of a plan left here: another executor carries it out, and nobody takes them up."""
        for name, kind in self._begun.pop(plan_id, {}).items():
            await self._leftovers.remove(name, kind)

    async def _place(
        self, plan: PlanRecord, snapshot: RegistrySnapshot, record: ExecutionRecord, attempt: AttemptRecord
    ) -> tuple[AttemptPlace, ExpandedContext]:
        runtime = self._resolver.runtime(record.runtime)
        in_memory = not runtime.needs_directory
        names = () if in_memory or runtime.binds_secrets else attempt.secret_names
        values = await patiently(self._clock, lambda: self._secrets.resolve(names)) if names else {}
        request = PlaceRequest(
            name=place_name(record),
            inputs=attempt.inputs,
            secrets=values,
            max_output_bytes=self._limits.max_output_bytes,
            max_output_files=self._limits.max_output_files,
            volumes=await patiently(self._clock, lambda: located(self._scratch, runtime, record)),
            in_memory=in_memory,
            verify=attempt.attempt_idx > 0,
        )
        receipt = attempt.reserve_receipt
        context = ExpandedContext(
            plan_id=plan.plan_id.text,
            transition_id=record.transition_id.text,
            execution_id=record.execution_id.text,
            attempt_idx=attempt.attempt_idx,
            registry_snapshot=snapshot,
            policy=snapshot.get_policy(plan.policy),
            inputs=record.inputs,
            write_set_resolved=record.write_set(snapshot),
            budget_reserved=Receipt.parse(receipt) if receipt is not None else None,
            world_mount=WORLD_MOUNT,
            scratch_dir=SCRATCH_DIR,
            seed=plan.seed,
            memo_key=attempt.memo_key,
            env_fingerprint=fingerprint_of(attempt.components),
            write_prefix=record.write_prefix or "",
        )
        # Where nothing runs nobody reads it.
        document = b"" if in_memory else jcs.canonical(context.to_document())
        place = await patiently(self._clock, lambda: self._places.prepare(request, document))
        return place, replace(context, world_mount=str(place.world), scratch_dir=str(place.out))

    async def _collect(self, place: AttemptPlace, context: ExpandedContext) -> Collected | None:
        """What was written; None where the place is not there any more, however often one asks."""
        async with AsyncExitStack() as opening:
            try:
                tree = await opening.enter_async_context(self._places.written(place))
            except Corrupt:
                return None
            return await collect(tree, context.write_set_resolved, self._world)

    async def _check_success(
        self, plan: PlanRecord, snapshot: RegistrySnapshot, record: ExecutionRecord, collected: Collected
    ) -> None:
        processor = snapshot.get_processor(record.processor)
        view = AttemptView(self._world, plan.world, collected.outputs, record.chunks or ())
        names = {"inputs": record.inputs, "outputs": collected.named_outputs}
        await patiently(self._clock, lambda: predicates.check(processor.success, view, snapshot, names, self._judge))


def _failure_of(result: ProcessorResult, timeout_s: int) -> Failure:
    match result.outcome:
        case AttemptOutcome.TIMED_OUT:
            return Failure("PROCESSOR_TIMED_OUT", result.message, {"timeout_s": str(timeout_s)})
        case AttemptOutcome.OOM:
            return Failure("PROCESSOR_OOM", result.message, {})
        case AttemptOutcome.LOST:
            return Failure("ATTEMPT_LOST", result.message, {})
        case AttemptOutcome.CANCELLED:
            return CANCELLED
        case _:
            return Failure("PROCESSOR_FAILED", result.message, {"exit_code": str(result.exit_code)})
