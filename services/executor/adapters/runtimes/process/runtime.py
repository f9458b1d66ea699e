"""The process runtime: each attempt is a guardian and its command, in the directory of the attempt."""

import asyncio
import os
import platform
import signal
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from services.executor.adapters.images.context import SITE
from services.executor.adapters.places.faults import place_gone, translated
from services.executor.adapters.places.layout import RUN, SOCKET
from services.executor.adapters.places.marker import Marker
from services.executor.adapters.runtimes.frames import Position, page
from services.executor.adapters.runtimes.log import LogTail, secrets_of
from services.executor.adapters.runtimes.marks import STARTED, Marks
from services.executor.adapters.runtimes.naming import place_of
from services.executor.adapters.runtimes.process import processes
from services.executor.adapters.runtimes.process.guardian import EXIT
from services.executor.adapters.runtimes.process.sources import PROGRAM, StagedSources
from services.executor.adapters.runtimes.process.written import begins_at, frames_behind, last_frames
from services.executor.adapters.runtimes.results import ended, never_ran
from services.executor.adapters.runtimes.settings import RuntimeSettings
from services.executor.adapters.threads import Threads
from services.executor.ports.runtime import Isolation
from theory.core import jcs
from theory.core.adapters import MAX_PAGE_BYTES, ImageIdentity, LogPage
from theory.core.clock import until_set
from theory.core.context import ExpandedContext, ProcessorResult
from theory.core.errors import TheoryError
from theory.core.jcs import JSON
from theory.core.receipt import AttemptOutcome
from theory.core.refs import Ref
from theory.core.spec import ProcessorSpec

_MIB = 1024 * 1024
_BELT_S = 60
"""How much later than its deadline a processor ends whose executor is gone."""
_GONE_WITHIN_S = 30.0
_MAX_SOCKET_PATH_BYTES = 100
_FROM_WITHIN = Path("/proc/self/cwd")
_LOOK_AGAIN_S = 5.0
"""How often the marks are looked at while nothing happens."""


async def open(settings: RuntimeSettings) -> "ProcessRuntime":
    """The runtime of this machine's own interpreter."""
    threads = Threads("process", 4)
    home = await threads.run(settings.home.resolve)
    sources = StagedSources(home, settings.build_root, threads)
    await threads.run(sources.tidy)
    return ProcessRuntime(home / "attempts", sources, threads, settings)


class ProcessRuntime:
    """Child processes of this machine: no isolation, so trusted code only, and a receipt says so."""

    kind = "process"
    isolation = "none"
    needs_directory = True
    binds_secrets = False
    volume_kinds = frozenset({"directory"})

    def __init__(self, attempts: Path, sources: StagedSources, threads: Threads, settings: RuntimeSettings) -> None:
        self._attempts = attempts
        self._sources = sources
        self._threads = threads
        self._clock = settings.clock
        self._grace_s = settings.grace_s
        self._slots = asyncio.Semaphore(settings.max_running)

    async def proved(self) -> Isolation:
        return Isolation(self.isolation)

    async def resolve_image(self, processor: ProcessorSpec) -> ImageIdentity:
        identity, _ = await self._sources.resolve(processor)
        return identity

    async def invoke(
        self, processor_ref: str, context: ExpandedContext, *, image_digest: str | None = None
    ) -> ProcessorResult:
        processor = context.registry_snapshot.get_processor(Ref.parse(processor_ref))
        place = place_of(context)
        async with self._slots:
            begun = await self._begin(processor, place, image_digest)
            if isinstance(begun, ProcessorResult):
                return begun
            if begun is not None:
                await self._follow(begun, place, processor.runtime.timeout_s)
            return await self._threads.run(_result, place, processor.runtime.timeout_s)

    async def cancel(self, context: ExpandedContext) -> None:
        place = place_of(context)
        if not await self._threads.run(place.is_dir):
            return
        await self._threads.run(Marks(place).stop, "cancelled")
        pid = await self._threads.run(processes.guardian_of, place)
        if pid is not None:
            with processes.end_of(pid) as ended:
                await self._stop(pid, place, ended)

    async def logs(self, name: str, *, after: str = "", max_bytes: int = MAX_PAGE_BYTES) -> LogPage | None:
        return await self._threads.run(_page, self._attempts / name, Position.parse(after), max_bytes)

    async def release(self, name: str) -> None:
        await self._threads.run(processes.kill_all, self._attempts / name)

    async def reap(self, keep: frozenset[str]) -> tuple[str, ...]:
        stray = sorted((await self._threads.run(processes.living, self._attempts)).keys() - keep)
        for name in stray:
            await self.release(name)
        return tuple(stray)

    async def probe(self) -> Mapping[str, JSON]:
        return {"runtime": self.kind, "python": platform.python_version(), "cpus": os.cpu_count() or 0}

    async def close(self) -> None:
        await self._sources.close()
        self._threads.close()

    async def _begin(
        self, processor: ProcessorSpec, place: Path, image_digest: str | None
    ) -> int | ProcessorResult | None:
        """The guardian's pid; None where it has ended; a result where the attempt ends before it begins."""
        marks = Marks(place)
        if marks.started:
            # In this order: one who has just ended has left its note.
            return await self._threads.run(processes.guardian_of, place)
        if marks.stopping is not None:
            return never_ran(AttemptOutcome.CANCELLED, "the attempt was cancelled before it started")
        sources = await self._sources.pinned(processor, image_digest)
        return await self._threads.run(self._spawn, processor, place, sources)

    def _spawn(self, processor: ProcessorSpec, place: Path, sources: Path) -> int:
        marker = Marker.read(place)
        if marker is None:
            raise place_gone()
        python, temporary = self._sources.python, place / "tmp"
        arguments = [
            str(place),
            str(processor.runtime.memory_mb * _MIB),
            str(marker.limits.max_bytes + _MIB),
            str(processor.runtime.timeout_s + int(self._grace_s) + _BELT_S),
            str(python),
            str(sources / PROGRAM),
        ]
        environment = {
            "HOME": str(temporary),
            "LANG": "C.UTF-8",
            "PATH": f"{python.parent}:/usr/local/bin:/usr/bin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",  # the sources stay as they were staged
            "PYTHONPATH": str(sources / SITE),
            "PYTHONUTF8": "1",
            "THEORY_URL": _url_of(place),
            "THEORY_WORK_DIR": str(place),
            "TMPDIR": str(temporary),
        }
        with translated():
            temporary.mkdir(exist_ok=True)
            Marks(place).start()
            return processes.spawn(python, arguments, environment)

    async def _follow(self, pid: int, place: Path, timeout_s: int) -> None:
        """Return once the guardian has ended: by itself, at the deadline, or because the marks say so."""
        marks = Marks(place)
        with processes.end_of(pid) as ended:
            ran_s = (self._clock.now() - (_moment_of(place / STARTED) or self._clock.now())).total_seconds()
            left_s = timeout_s - ran_s
            deadline = self._clock.monotonic() + min(max(left_s, 0), timeout_s)
            while not ended.is_set():
                left_s = deadline - self._clock.monotonic()
                if marks.stopping is None and left_s > 0:
                    await until_set(ended, self._clock, min(left_s, _LOOK_AGAIN_S))
                else:
                    marks.stop("timed_out")
                    await self._stop(pid, place, ended)
        processes.bury(pid)

    async def _stop(self, pid: int, place: Path, ended: asyncio.Event) -> None:
        """Ask the processor to end, wait, then kill it; return once it has ended."""
        for number, patience_s in ((signal.SIGTERM, self._grace_s), (signal.SIGUSR1, _GONE_WITHIN_S)):
            processes.send(pid, number)
            if await until_set(ended, self._clock, patience_s):
                return
        await self._threads.run(processes.kill_all, place)


def _url_of(place: Path) -> str:
    """The socket of the attempt, by a path that fits into an address: the command begins in its place."""
    path = place / RUN / SOCKET
    fits = len(os.fsencode(path)) <= _MAX_SOCKET_PATH_BYTES
    return f"unix://{quote(str(path if fits else _FROM_WITHIN / RUN / SOCKET))}"


def _result(place: Path, timeout_s: int) -> ProcessorResult:
    noted = _noted(place)
    if noted is None:
        # Nobody is there to end what it may have left.
        processes.kill_all(place)
    tail = LogTail()
    for frame in last_frames(place):
        tail.add(frame.data)
    code, cpu_ms = noted or (None, 0)
    return ended(
        exit_code=code,
        oom=False,
        stopped=Marks(place).stopping,
        timeout_s=timeout_s,
        started_at=_moment_of(place / STARTED),
        finished_at=_moment_of(place / EXIT),
        cpu_s_milli=cpu_ms,
        logs_tail=tail.text(secrets_of(place)),
    )


def _page(place: Path, after: Position, max_bytes: int) -> LogPage | None:
    # In this order: whoever has noted the end prints no more.
    over = (place / EXIT).exists()
    secrets = secrets_of(place)
    if secrets is None or not (place / STARTED).exists():
        return None
    frames, more = frames_behind(place, after, max_bytes)
    gap = min(after.stdout, after.stderr).number < begins_at(place)
    return page(frames, secrets, after, ended=over and not more, gap=gap)


def _noted(place: Path) -> tuple[int, int] | None:
    """Exit code and CPU time, as the guardian wrote them down; None where it could not."""
    try:
        document = jcs.parse((place / EXIT).read_bytes())
    except (FileNotFoundError, TheoryError):
        return None
    match document:
        case {"code": int(code), "cpu_ms": int(cpu_ms)}:
            return code, cpu_ms
    return None


def _moment_of(note: Path) -> datetime | None:
    """When a note was written."""
    try:
        return datetime.fromtimestamp(note.stat().st_mtime, UTC)
    except FileNotFoundError:
        return None
