"""A runtime whose attempts do what a test wrote down for them: the executor's own port, without an engine."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

from services.executor.adapters.places import MemoryPlaces
from services.executor.adapters.runtimes import RuntimeSettings
from services.executor.adapters.runtimes.naming import attempt_name, place_of
from services.executor.ports.runtime import Isolation
from theory.core import jcs
from theory.core.adapters import MAX_PAGE_BYTES, ImageIdentity, LogPage, LogPiece
from theory.core.clock import Clock, SystemClock
from theory.core.context import ExpandedContext, ProcessorResult
from theory.core.errors import NotReady, TheoryError
from theory.core.jcs import JSON
from theory.core.receipt import AttemptOutcome
from theory.core.spec import ProcessorSpec


@dataclass(frozen=True, kw_only=True)
class Act:
    """What one attempt does: waits, breaks, or writes and ends."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    """By World path, or by name relative to `out/`."""
    outputs: Mapping[str, JSON] | None = None
    """The named outputs; None writes no `result.json`."""
    reported: int | None = None
    """What it says it spent elsewhere, in micro-USD."""
    outcome: AttemptOutcome = AttemptOutcome.SUCCEEDED
    exit_code: int | None = 0
    took_s: float = 0
    """What it says it took: nothing waits for it."""
    log: str = ""
    hold: asyncio.Event | None = None
    """Waits for it before it does anything else."""
    raises: Exception | None = None
    """The runtime itself breaks, or cannot."""

    def tree(self) -> dict[str, bytes]:
        """All that it leaves in `out/`."""
        tree = {name.removeprefix("/"): data for name, data in self.files.items()}
        result: dict[str, JSON] = {} if self.outputs is None else {"outputs": dict(self.outputs)}
        if self.reported is not None:
            result["cost_usd_micro"] = self.reported
        return tree | ({"result.json": jcs.canonical(result)} if result else {})


Script: TypeAlias = Act | Sequence[Act] | Callable[[ExpandedContext], Act]
"""The same for every attempt; one per attempt, the last for all later ones; or chosen by what the attempt was given."""


def failing(outcome: AttemptOutcome = AttemptOutcome.FAILED, **changes: object) -> Act:
    """An attempt that ends badly."""
    codes = {AttemptOutcome.LOST: None, AttemptOutcome.OOM: 137, AttemptOutcome.TIMED_OUT: 137}
    return replace(Act(outcome=outcome, exit_code=codes.get(outcome, 1)), **changes)  # type: ignore[arg-type]


def writing(context: ExpandedContext) -> Act:
    """What an attempt does of which nothing is written down: one file, a function of what it was given."""
    given = jcs.canonical({"inputs": context.inputs, "seed": context.seed, "memo_key": context.memo_key})
    path = f"{context.write_prefix}out.json"
    return Act(files={path: given}, outputs={"path": path})


class ScriptedRuntime:
    """Carries out acts, by transition, or by `transition.index` for one item of a fan-out.

    Keeps the promises of the port: a second `invoke` of an attempt waits for the first, and a caller that goes away
    leaves the attempt running. May be opened again by an executor that starts anew: what runs goes on.
    """

    kind = "process"
    isolation = "none"
    binds_secrets = False
    volume_kinds = frozenset({"directory"})

    def __init__(self, *, needs_directory: bool = False) -> None:
        self.needs_directory = needs_directory
        self.scripts: dict[str, Script] = {}
        self.isolation_missing: tuple[str, ...] = ()
        self.down: str | None = None
        """Why no engine answers; None where one does."""
        self.image_fault: TheoryError | None = None
        self.release_fault: Exception | None = None
        self.logs_fault: TheoryError | None = None
        self.invoked: list[str] = []
        """The attempts that were started, in order, each once: `transition-a0`, or `transition.index-a0`."""
        self.contexts: dict[str, ExpandedContext] = {}
        """What each was given."""
        self.cancelled: list[str] = []
        """The attempts that were to end, in order, each as often as it was asked for."""
        self.released: list[str] = []
        self.kept: list[frozenset[str]] = []
        """What each sweep was told to leave alone."""
        self.printed: dict[str, list[LogPiece]] = {}
        """What attempts have printed so far, by `transition-a0`."""
        self.looked: list[str] = []
        """Whose log was asked for, each as often as it was."""
        self.images_resolved = 0
        self.most_at_once = 0
        self.stays = False
        """Whether what runs goes on when the installation ends."""
        self._clock: Clock = SystemClock()
        self._memory = MemoryPlaces()
        self._running: dict[str, asyncio.Task[Act]] = {}
        self._stopped: dict[str, asyncio.Event] = {}
        self._moved = asyncio.Condition()

    async def open(self, settings: RuntimeSettings) -> "ScriptedRuntime":
        """Serve an executor."""
        self._clock, self._memory = settings.clock, settings.memory
        return self

    def forget(self) -> None:
        """As if it were new; nothing may be under way."""
        self.down = self.image_fault = self.release_fault = self.logs_fault = None
        self.images_resolved = self.most_at_once = 0
        for each in (
            self.scripts,
            self.invoked,
            self.contexts,
            self.cancelled,
            self.released,
            self.kept,
            self._running,
            self.printed,
            self.looked,
        ):
            each.clear()

    async def until_running(self, count: int) -> None:
        """Return once that many attempts are under way."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.running >= count)

    async def until_looked(self, name: str) -> None:
        """Return once somebody has asked for the log of `transition-a0`."""
        async with self._moved:
            await self._moved.wait_for(lambda: name in self.looked)

    async def until_released(self) -> None:
        """Return once an attempt was to be removed."""
        async with self._moved:
            await self._moved.wait_for(lambda: bool(self.released))

    @property
    def running(self) -> int:
        """How many attempts are under way."""
        return sum(not task.done() for task in self._running.values())

    async def proved(self) -> Isolation:
        if self.down is not None:
            raise NotReady("ENGINE_DOWN", self.down)
        return Isolation(self.isolation, self.isolation_missing)

    async def resolve_image(self, processor: ProcessorSpec) -> ImageIdentity:
        self.images_resolved += 1
        if self.image_fault is not None:
            raise self.image_fault
        return ImageIdentity(processor.digest(), "process")

    async def invoke(
        self, processor_ref: str, context: ExpandedContext, *, image_digest: str | None = None
    ) -> ProcessorResult:
        name = attempt_name(context)
        if name not in self._running:
            self.invoked.append(short := name.removeprefix(f"{context.plan_id}."))
            self.contexts[short] = context
            self._running[name] = asyncio.create_task(self._act(context))
            self.most_at_once = max(self.most_at_once, self.running)
            async with self._moved:
                self._moved.notify_all()
        act = await asyncio.shield(self._running[name])
        if self.needs_directory:
            _write(place_of(context) / "out", act.tree())
        elif self._memory.holds(name):
            self._memory.fill(name, act.tree())
        finished = self._clock.now()
        return ProcessorResult(
            outcome=act.outcome,
            exit_code=act.exit_code,
            oom=act.outcome is AttemptOutcome.OOM,
            deadline_exceeded=act.outcome is AttemptOutcome.TIMED_OUT,
            started_at=finished - timedelta(seconds=act.took_s),
            finished_at=finished,
            cpu_s_milli=0,
            logs_tail=act.log,
            message="" if act.outcome is AttemptOutcome.SUCCEEDED else f"the script says {act.outcome}",
        )

    async def cancel(self, context: ExpandedContext) -> None:
        name = attempt_name(context)
        self.cancelled.append(name.removeprefix(f"{context.plan_id}."))
        self._stopped.setdefault(name, asyncio.Event()).set()

    async def logs(self, name: str, *, after: str = "", max_bytes: int = MAX_PAGE_BYTES) -> LogPage | None:
        if self.logs_fault is not None:
            raise self.logs_fault
        self.looked.append(name.rpartition(".")[2])
        async with self._moved:
            self._moved.notify_all()
        printed = self.printed.get(name.rpartition(".")[2])
        if printed is None or name in self.released:
            return None
        told = int(after or 0)
        found = printed[told : told + 1]
        pieces = tuple(replace(each, position=f"{told + at}") for at, each in enumerate(found, start=1))
        task = self._running.get(name)
        ended = told + len(found) == len(printed) and task is not None and task.done()
        return LogPage(pieces, ended)

    async def reap(self, keep: frozenset[str]) -> tuple[str, ...]:
        self.kept.append(keep)
        stray = tuple(sorted(self._running.keys() - keep))
        for name in stray:
            self._running.pop(name).cancel()
        return stray

    async def release(self, name: str) -> None:
        if self.release_fault is not None:
            raise self.release_fault
        self.released.append(name)
        async with self._moved:
            self._moved.notify_all()

    async def probe(self) -> Mapping[str, JSON]:
        if self.down is not None:
            raise NotReady("ENGINE_DOWN", self.down)
        return {"runtime": self.kind}

    async def close(self) -> None:
        """Attempts go on: an executor that starts anew finds them."""

    async def end(self) -> None:
        """Stop whatever still runs, unless it is to stay."""
        if self.stays:
            return
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _act(self, context: ExpandedContext) -> Act:
        act = self._written_for(context)
        if act.hold is not None and await self._stopped_first(attempt_name(context), act.hold):
            return Act(outcome=AttemptOutcome.CANCELLED, exit_code=143)
        if act.raises is not None:
            raise act.raises
        return act

    async def _stopped_first(self, name: str, hold: asyncio.Event) -> bool:
        waits = [asyncio.ensure_future(each.wait()) for each in (self._stopped.setdefault(name, asyncio.Event()), hold)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        return self._stopped[name].is_set()

    def _written_for(self, context: ExpandedContext) -> Act:
        execution = context.execution_id.removeprefix(f"{context.plan_id}.")
        script = self.scripts.get(execution, self.scripts.get(context.transition_id, writing))
        if isinstance(script, Act):
            return script
        if callable(script):
            return script(context)
        return script[min(context.attempt_idx, len(script) - 1)]


def _write(out: Path, tree: Mapping[str, bytes]) -> None:
    for name, data in tree.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(data)
