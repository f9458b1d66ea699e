"""Processes of attempts: started so that they outlive the executor, and found again by what they carry."""

import asyncio
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from services.executor.adapters.runtimes.process import guardian

GUARDIAN = Path(guardian.__file__)
_MARK = b"THEORY_WORK_DIR="
_NOBODY = os.devnull


def spawn(python: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Start a guardian in a session of its own; returns its pid. `OSError`.

    No fork of this process, which may hold gRPC: the kernel makes the child directly.
    """
    # Isolated, without site: it starts faster, and nothing of the processor's world reaches it.
    command = [str(python), "-I", "-S", str(GUARDIAN), *arguments]
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, _NOBODY, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, _NOBODY, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, _NOBODY, os.O_WRONLY, 0),
    ]
    return os.posix_spawn(command[0], command, dict(environment), file_actions=actions, setsid=True)


def living(attempts: Path) -> dict[str, list[int]]:
    """The processes of each attempt below this directory, guardians first: whoever carries its directory."""
    found: dict[str, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):  # it ended, or belongs to somebody else
            carried = [each for each in (entry / "environ").read_bytes().split(b"\0") if each.startswith(_MARK)]
            place = Path(os.fsdecode(carried[0].removeprefix(_MARK))) if carried else None
            if place is not None and place.parent == attempts:
                first = os.fsencode(GUARDIAN) in (entry / "cmdline").read_bytes().split(b"\0")
                pids = found.setdefault(place.name, [])
                pids.insert(0 if first else len(pids), int(entry.name))
    return found


def guardian_of(place: Path) -> int | None:
    """The pid of the attempt's guardian, if it lives."""
    for pid in living(place.parent).get(place.name, ()):
        with suppress(OSError):
            if os.fsencode(GUARDIAN) in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                return pid
    return None


def kill_all(place: Path) -> None:
    """Kill every process of the attempt, whoever it descends from now."""
    while pids := living(place.parent).get(place.name):
        for pid in pids:
            send(pid, signal.SIGKILL)
            bury(pid)


def send(pid: int, number: int) -> None:
    """Send a signal; one who is gone is fine."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def bury(pid: int) -> None:
    """Take note of the end of a child, so that the kernel forgets it; of others it is somebody else's business."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


@contextmanager
def end_of(pid: int) -> Iterator[asyncio.Event]:
    """An event that is set once the process has ended, also one that is not a child."""
    ended = asyncio.Event()
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        ended.set()
        yield ended
        return
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, ended.set)
    try:
        yield ended
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
