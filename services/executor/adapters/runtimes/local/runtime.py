"""The local runtime: each attempt is one container, found by its name whoever asks and however often."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from services.executor.adapters.images.fault import unavailable
from services.executor.adapters.places.faults import place_gone
from services.executor.adapters.places.layout import VOLUMES
from services.executor.adapters.places.marker import Marker
from services.executor.adapters.runtimes.frames import Position, page
from services.executor.adapters.runtimes.installation import installation_id
from services.executor.adapters.runtimes.local.absence import Absence
from services.executor.adapters.runtimes.local.containers import PREFIX, Containers
from services.executor.adapters.runtimes.local.engine import Engine, EngineRefused
from services.executor.adapters.runtimes.local.exits import Exits
from services.executor.adapters.runtimes.local.follow import Followed, Follower
from services.executor.adapters.runtimes.local.images import LocalImages
from services.executor.adapters.runtimes.local.profile import Enclosure
from services.executor.adapters.runtimes.local.proof import KIND_BY_RUNTIME, Proof
from services.executor.adapters.runtimes.local.state import ContainerState
from services.executor.adapters.runtimes.local.watchman import HOME_LABEL, TIMEOUT_LABEL, Watchman
from services.executor.adapters.runtimes.log import secrets_of
from services.executor.adapters.runtimes.marks import Marks
from services.executor.adapters.runtimes.naming import attempt_name, place_of
from services.executor.adapters.runtimes.results import ended, never_ran
from services.executor.adapters.runtimes.settings import RuntimeSettings
from services.executor.adapters.threads import Threads
from services.executor.ports.runtime import Isolation
from theory.core.adapters import MAX_PAGE_BYTES, ImageIdentity, LogPage
from theory.core.context import MAX_LOG_CHARACTERS, ExpandedContext, ProcessorResult
from theory.core.errors import NotReady, Unavailable
from theory.core.jcs import JSON
from theory.core.receipt import AttemptOutcome
from theory.core.refs import Ref
from theory.core.spec import ProcessorSpec

T = TypeVar("T")

_NOT_FOUND = 404
_CANNOT_START = 126
"""Exit codes from here on, of a container that never ran, say that its command cannot be run."""
_SPARE_FILE_BYTES = 1024 * 1024
_SPARE_CALLS = 4
_log = logging.getLogger(__name__)


async def open(settings: RuntimeSettings) -> "LocalRuntime":
    """The runtime of the engine in `settings`, which is not asked before it is needed."""
    threads = Threads("local", 2)
    runtime = LocalRuntime(settings, threads, await threads.run(installation_id, settings.home))
    await threads.run(runtime.tidy)
    return runtime


class LocalRuntime:
    """Containers on this machine, with the isolation that `profile` describes."""

    kind = "local"
    needs_directory = True
    binds_secrets = False
    volume_kinds = frozenset({"directory"})

    def __init__(self, settings: RuntimeSettings, threads: Threads, home_id: str) -> None:
        self._threads = threads
        self._home_id = home_id
        self._container_runtime = settings.container_runtime
        self.isolation = KIND_BY_RUNTIME[settings.container_runtime]
        self._engine = Engine(settings.engine_url, calls_at_once=settings.max_running + _SPARE_CALLS)
        self._containers = Containers(self._engine)
        self._images = LocalImages(self._engine, settings, threads)
        self._proof = Proof(self._engine, self._containers, settings, home_id, HOME_LABEL)
        self._exits = Exits(self._engine, f"{HOME_LABEL}={home_id}", settings.clock, broken=self._proof.forget)
        self._absence = Absence(self._containers, settings.clock)
        self._watchman = Watchman(settings.home, home_id, settings.engine_url, settings.grace_s)
        self._follower = Follower(self._containers, settings.clock, settings.grace_s)
        self._begun: set[str] = set()
        """Attempts whose containers may be there."""
        self._attempts = settings.home / "attempts"
        self._slots = asyncio.Semaphore(settings.max_running)
        self._readers = asyncio.Semaphore(_SPARE_CALLS // 2)
        self._commands: dict[str, tuple[str, ...]] = {}
        self._machine_cpus = 0

    def tidy(self) -> None:
        """Remove what a killed executor left half made; before the first use."""
        self._images.tidy()

    async def proved(self) -> Isolation:
        # From here on it is noticed when the engine goes away.
        self._exits.listen()
        with _translated("*"):
            return await self._present(self._proof.isolation, there=self._engine.known)

    async def resolve_image(self, processor: ProcessorSpec) -> ImageIdentity:
        identity, _ = await self._present(partial(self._images.resolve, processor), there=self._engine.known)
        return identity

    async def invoke(
        self, processor_ref: str, context: ExpandedContext, *, image_digest: str | None = None
    ) -> ProcessorResult:
        processor = context.registry_snapshot.get_processor(Ref.parse(processor_ref))
        name, marks = attempt_name(context), Marks(place_of(context))
        async with self._slots:
            found_started = marks.started
            with _translated(name), self._exits.of(PREFIX + name) as exited:
                begin = partial(self._begin, processor, context, marks, image_digest)
                try:
                    early = await self._present(begin, there=found_started or self._engine.known)
                except NotReady as error:
                    if error.reason != "ENGINE_DOWN" or not marks.started:
                        raise
                    return never_ran(AttemptOutcome.LOST, "the engine went away while the processor ran")
                if early is not None:
                    return early
                timeout_s = processor.runtime.timeout_s
                followed = await self._follower.follow(name, marks, timeout_s, exited, unseen=found_started)
            return await self._result(processor, context, followed)

    async def cancel(self, context: ExpandedContext) -> None:
        place = place_of(context)
        if not await self._threads.run(place.is_dir):
            return
        await self._threads.run(Marks(place).stop, "cancelled")
        name = attempt_name(context)
        with self._exits.of(PREFIX + name) as exited:
            await self._follower.stop(name, exited)

    async def logs(self, name: str, *, after: str = "", max_bytes: int = MAX_PAGE_BYTES) -> LogPage | None:
        position, place = Position.parse(after), self._attempts / name
        async with self._readers:
            with _translated(name):
                state = await self._containers.find(name)
                secrets = await self._threads.run(secrets_of, place)
                if state is None or state.started_at is None or secrets is None:
                    return None
                try:
                    frames, more = await self._containers.frames(name, position, max_bytes)
                except EngineRefused as error:
                    if error.status == _NOT_FOUND:
                        return None
                    raise
            return await self._threads.run(page, frames, secrets, position, ended=state.over and not more)

    async def release(self, name: str) -> None:
        with _translated(name):
            await self._containers.remove(name)
        self._begun.discard(name)

    async def reap(self, keep: frozenset[str]) -> tuple[str, ...]:
        with _translated("*"):
            names = await self._containers.names(f"{HOME_LABEL}={self._home_id}")
        stray = [name for name in names if name not in keep]
        for name in stray:
            await self.release(name)
        return tuple(stray)

    async def probe(self) -> Mapping[str, JSON]:
        with _translated("*"):
            version, info = await self._engine.call(lambda client: (client.version(), client.info()))
        return {
            "runtime": self.kind,
            "engine": str(version.get("Version", "")),
            "api": str(version.get("ApiVersion", "")),
            "cgroup": str(info.get("CgroupVersion", "")),
            "cpus": int(info.get("NCPU", 0)),
            "security": sorted(str(each) for each in info.get("SecurityOptions") or ()),
        }

    async def close(self) -> None:
        await self._images.close()
        await self._threads.run(self._exits.close)
        await self._threads.run(partial(self._watchman.close, needed=bool(self._begun)))
        await self._engine.close()
        self._threads.close()

    def _watched(self) -> None:
        """Let somebody end what runs here, should this process never do it."""
        try:
            self._watchman.keep()
        except OSError:
            # Nothing else depends on it, and the next attempt tries again.
            _log.warning("watchman.missing", exc_info=True)

    async def _present(self, ask: Callable[[], Awaitable[T]], *, there: bool) -> T:
        """What `ask` returns. An engine that is known to be `there` may be away for a while; no other is waited for."""
        return await (self._absence.sat_out(ask) if there else ask())

    async def _begin(
        self, processor: ProcessorSpec, context: ExpandedContext, marks: Marks, image_digest: str | None
    ) -> ProcessorResult | None:
        """Bring the container to run, or find that it does or did; a result where the attempt ends before that."""
        name = attempt_name(context)
        if marks.started:
            state = await self._containers.find(name)
            if state is None:
                gone = Followed(None, marks.stopping, "the container of the attempt has gone")
                return await self._result(processor, context, gone)
        elif marks.stopping is not None:
            return never_ran(AttemptOutcome.CANCELLED, "the attempt was cancelled before it started")
        else:
            state = await self._created(processor, context, image_digest)
            if state.started_at is not None:
                # Its place was made anew since: what it wrote is gone.
                await self.release(name)
                return never_ran(AttemptOutcome.LOST, "the directory of the attempt was lost while it ran")
            marks.start()
        self._begun.add(name)
        await self._threads.run(self._watched)
        if state.status == "created" and state.exit_code < _CANNOT_START:
            return await self._started(name)
        return _cannot_start(name, state) if state.status == "created" else None

    async def _started(self, name: str) -> ProcessorResult | None:
        try:
            await self._containers.start(name)
        except EngineRefused:
            state = await self._containers.find(name)
            if state is None or state.exit_code < _CANNOT_START:
                raise
            return _cannot_start(name, state)
        return None

    async def _created(
        self, processor: ProcessorSpec, context: ExpandedContext, image_digest: str | None
    ) -> ContainerState:
        """The container, made or found, of exactly the image that was resolved."""
        image_id = await self._images.pinned(processor, image_digest)
        wanted = await self._enclosure(processor, context, image_id)
        for _ in range(2):
            try:
                await self._containers.create(wanted)
                state = await self._containers.find(attempt_name(context))
            except EngineRefused as error:
                if error.status == _NOT_FOUND:
                    raise unavailable(processor.ref.text, "the engine no longer has it") from error
                raise
            if state is None:
                continue
            if state.labels.get(HOME_LABEL) != self._home_id:
                message = "a container of another installation has the name of this attempt"
                raise Unavailable("ATTEMPT_LOST", message)
            if state.image_id == image_id or state.started_at is not None:
                return state
            await self.release(attempt_name(context))
        raise unavailable(processor.ref.text, "the engine gave the container another image")

    async def _enclosure(self, processor: ProcessorSpec, context: ExpandedContext, image_id: str) -> Enclosure:
        command = processor.command or await self._command(image_id)
        if not command:
            raise unavailable(processor.ref.text, "neither it nor the spec has a command")
        if not self._machine_cpus:
            self._machine_cpus = int((await self._engine.call(lambda client: client.info()))["NCPU"])
        place = place_of(context)
        marker = Marker.read(place)
        if marker is None:
            raise place_gone()
        return Enclosure(
            name=PREFIX + attempt_name(context),
            image_id=image_id,
            place=place,
            command=command,
            has_secrets=(place / "run" / "secrets").is_dir(),
            runtime=processor.runtime,
            labels={
                HOME_LABEL: self._home_id,
                TIMEOUT_LABEL: str(processor.runtime.timeout_s),
                "theory.plan": context.plan_id,
                "theory.execution": context.execution_id,
                "theory.attempt": str(context.attempt_idx),
                "theory.epoch": str(context.budget_reserved.epoch) if context.budget_reserved else "",
            },
            max_file_bytes=marker.limits.max_bytes + _SPARE_FILE_BYTES,
            machine_cpus=self._machine_cpus,
            volumes=await self._threads.run(_volumes_of, place),
            container_runtime=self._container_runtime,
        )

    async def _command(self, image_id: str) -> tuple[str, ...]:
        if image_id not in self._commands:
            self._commands[image_id] = await self._containers.command_of(image_id)
        return self._commands[image_id]

    async def _result(self, processor: ProcessorSpec, context: ExpandedContext, followed: Followed) -> ProcessorResult:
        state = followed.state
        result = ended(
            exit_code=None if state is None or followed.lost else state.exit_code,
            oom=state is not None and state.oom_killed,
            stopped=followed.stopped,
            timeout_s=processor.runtime.timeout_s,
            started_at=state.started_at if state else None,
            finished_at=state.finished_at if state else None,
            cpu_s_milli=0,
            logs_tail=await self._containers.log_tail(attempt_name(context), place_of(context)) if state else "",
        )
        return result if result.outcome is not AttemptOutcome.LOST else replace(result, message=followed.lost)


def _volumes_of(place: Path) -> Mapping[str, str]:
    """The volumes that the place links to."""
    try:
        links = sorted((place / VOLUMES).iterdir())
    except FileNotFoundError:
        return {}
    return {each.name: str(each.readlink()) for each in links}


@contextmanager
def _translated(name: str) -> Iterator[None]:
    """The engine's no as an error; its words, which may name paths of the host, go to the log alone."""
    try:
        yield
    except EngineRefused as error:
        _log.warning("engine.refused", extra={"attempt": name, "status": error.status, "words": error.words})
        message = "the container engine answers, but refuses; the executor's log has its words"
        raise NotReady("ENGINE_DOWN", message) from error


def _cannot_start(name: str, state: ContainerState) -> ProcessorResult:
    """The result of a command that its image cannot run. Of the engine's words, what it says of the command is told."""
    _log.warning("command.refused", extra={"attempt": name, "words": state.words})
    _, said, of_command = state.words.rpartition("exec: ")
    return ProcessorResult(
        outcome=AttemptOutcome.FAILED,
        exit_code=state.exit_code,
        oom=False,
        deadline_exceeded=False,
        started_at=None,
        finished_at=None,
        cpu_s_milli=0,
        logs_tail=f"{said}{of_command}"[-MAX_LOG_CHARACTERS:] if said else "",
        message="the processor's command cannot be started in its image",
    )
