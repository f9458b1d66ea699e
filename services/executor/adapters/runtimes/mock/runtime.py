"""The mock runtime: attempts that take no time and end as their processor's spec asks, with success by default."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.executor.adapters.places import MemoryPlaces
from services.executor.adapters.places.faults import translated
from services.executor.adapters.runtimes.mock.recipe import Recipe, asked_by_inputs, recipe_of
from services.executor.adapters.runtimes.naming import attempt_name, place_of
from services.executor.adapters.runtimes.settings import RuntimeSettings
from services.executor.ports.runtime import Isolation
from theory.core import jcs
from theory.core.adapters import MAX_PAGE_BYTES, ImageIdentity, LogPage
from theory.core.clock import Clock
from theory.core.context import ExpandedContext, ProcessorResult
from theory.core.jcs import JSON
from theory.core.receipt import AttemptOutcome
from theory.core.refs import Ref
from theory.core.spec import ProcessorSpec

_KEPT = 1024
_ENDINGS: Mapping[str, tuple[AttemptOutcome, int | None]] = {
    "failed": (AttemptOutcome.FAILED, 1),
    "lost": (AttemptOutcome.LOST, None),
    "oom": (AttemptOutcome.OOM, 137),
    "timed_out": (AttemptOutcome.TIMED_OUT, 137),
}


async def open(settings: RuntimeSettings) -> "MockRuntime":
    """A runtime that needs nothing."""
    return MockRuntime(settings.memory, settings.clock)


class MockRuntime:
    """Writes what the write set and the success predicates ask for; see `recipe`.

    `adapter.mock` of a spec makes attempts fail: `{"outcome": "failed", "attempts": 2}` lets the first two attempts end
    so, or all where `attempts` is absent; outcomes are failed, lost, oom and timed_out.
    """

    kind = "mock"
    isolation = "none"
    needs_directory = False
    binds_secrets = False
    volume_kinds = frozenset[str]()

    def __init__(self, memory: MemoryPlaces, clock: Clock) -> None:
        self._memory = memory
        self._clock = clock
        self._processors: dict[tuple[str, str], tuple[ProcessorSpec, bool]] = {}
        self._recipes: dict[tuple[object, ...], Recipe] = {}

    async def proved(self) -> Isolation:
        return Isolation(self.isolation)

    async def resolve_image(self, processor: ProcessorSpec) -> ImageIdentity:
        declared = processor.image.oci
        digest = processor.digest() if declared is None else declared.rpartition("@")[2]
        return ImageIdentity(digest, "mock")

    async def invoke(
        self, processor_ref: str, context: ExpandedContext, *, image_digest: str | None = None
    ) -> ProcessorResult:
        started = self._clock.now()
        processor, asked = self._processor(processor_ref, context)
        outcome, exit_code = _ending(processor.adapter.get("mock"), context.attempt_idx)
        if outcome is AttemptOutcome.SUCCEEDED:
            files = self._recipe(processor, context, asked=asked).files(context)
            name = attempt_name(context)
            if self._memory.holds(name):
                self._memory.fill(name, files)
            else:
                await asyncio.to_thread(_write, place_of(context) / "out", files)
        return ProcessorResult(
            outcome=outcome,
            exit_code=exit_code,
            oom=outcome is AttemptOutcome.OOM,
            deadline_exceeded=outcome is AttemptOutcome.TIMED_OUT,
            started_at=started,
            finished_at=self._clock.now(),
            cpu_s_milli=0,
            message="" if outcome is AttemptOutcome.SUCCEEDED else f"the spec asks for the outcome {outcome.value}",
        )

    async def cancel(self, context: ExpandedContext) -> None:
        """Nothing is ever under way."""

    async def logs(self, name: str, *, after: str = "", max_bytes: int = MAX_PAGE_BYTES) -> LogPage | None:
        """Nothing is ever printed."""
        return None

    async def reap(self, keep: frozenset[str]) -> tuple[str, ...]:
        return ()

    async def release(self, name: str) -> None:
        """Nothing was left."""

    async def probe(self) -> Mapping[str, JSON]:
        return {"runtime": self.kind}

    async def close(self) -> None:
        """Nothing is open."""

    def _processor(self, ref: str, context: ExpandedContext) -> tuple[ProcessorSpec, bool]:
        key = (context.registry_snapshot.snapshot_id, ref)
        if (known := self._processors.get(key)) is None:
            processor = context.registry_snapshot.get_processor(Ref.parse(ref))
            known = self._processors[key] = (processor, asked_by_inputs(processor))
            _bound(self._processors)
        return known

    def _recipe(self, processor: ProcessorSpec, context: ExpandedContext, *, asked: bool) -> Recipe:
        write_set = tuple(each.text for each in context.write_set_resolved)
        inputs = jcs.canonical(context.inputs) if asked else b""
        key = (context.registry_snapshot.snapshot_id, processor.ref, context.write_prefix, write_set, inputs)
        if (known := self._recipes.get(key)) is None:
            known = self._recipes[key] = recipe_of(processor, context)
            _bound(self._recipes)
        return known


def _bound(kept: dict[Any, Any]) -> None:
    """Forget the oldest beyond what is kept."""
    if len(kept) > _KEPT:
        del kept[next(iter(kept))]


def _ending(wish: JSON, attempt_idx: int) -> tuple[AttemptOutcome, int | None]:
    match wish:
        case {"outcome": str(outcome), **others} if outcome in _ENDINGS:
            attempts = others.get("attempts")
            if not isinstance(attempts, int) or attempt_idx < attempts:
                return _ENDINGS[outcome]
    return AttemptOutcome.SUCCEEDED, 0


def _write(out: Path, files: Mapping[str, bytes]) -> None:
    with translated():
        for relative, data in files.items():
            path = out / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
