"""A hundred hostile containers in the default profile: each comes to nothing, and the host stays as it was."""

import asyncio
import os
import platform
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from services.executor.adapters.places import mount
from tests import backends
from tests.hostile.misdeeds import ABSTRACT_SOCKET, MISDEEDS, REFUSED_EXIT, End, Misdeed
from tests.integration.workbench import MIB, PLAIN, PLAN, Workbench, base_image_missing, docker, forget_images
from tests.unit.services.executor.adapters.runtimes.attempts import processor
from theory.core.context import MAX_LOG_CHARACTERS, ProcessorResult
from theory.core.errors import Invalid
from theory.core.receipt import AttemptOutcome
from theory.core.world_path import WorldPath

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="module")]

CANARY = b"canary: bytes of the host that no processor may reach"
AT_ONCE = 4
DISK_SLACK = 1024 * MIB
"""Others use the disk meanwhile; what the misdeeds ask for is a multiple of this."""


@dataclass(frozen=True)
class Done:
    """What became of one."""

    result: ProcessorResult
    rule: str
    """By which its output was refused; empty where it was not."""


@dataclass(frozen=True)
class Aftermath:
    """What became of all of them, and of the host."""

    done: Mapping[str, Done]
    skipped: frozenset[str]
    containers: frozenset[str]
    processes: frozenset[str]
    mounts: tuple[Path, ...]
    left: tuple[str, ...]
    disk_used: int
    canary: bytes
    called: bool
    """Whether anybody connected to the host's socket."""


async def _run(bench: Workbench, number: int, misdeed: Misdeed) -> Done:
    runtime = {"cpu": 1, "memory_gb": "0.125", "timeout_s": misdeed.timeout_s}
    spec = processor(command=["python3", "-c", misdeed.program], runtime=runtime)
    place = await bench.place(f"m{number}-a0", inputs={"/artifacts/in": b"1"})
    result = await bench.invoke(spec, place)
    rule = ""
    if result.outcome is AttemptOutcome.SUCCEEDED:
        try:
            for relative in await bench.written(place):
                if relative.startswith("artifacts/"):
                    WorldPath.parse(f"/{relative}")
        except Invalid as error:
            rule = error.metadata["rule"]
    return Done(result, rule)


def _processes_of(containers: frozenset[str]) -> frozenset[str]:
    """The processes of this machine that belong to these containers, whoever they say they are."""
    found = set()
    for each in Path("/proc").glob("[0-9]*/cgroup"):
        try:
            text = each.read_text()
        except OSError:  # it has ended meanwhile
            continue
        if any(container in text for container in containers):
            found.add(each.parent.name)
    return frozenset(found)


def _free(path: Path) -> int:
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def aftermath(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Aftermath]:
    """All of them, some at once, and then a look at the host."""
    backends.require("docker", base_image_missing())
    home = tmp_path_factory.mktemp("hostile")
    canary = home / "canary"
    canary.write_bytes(CANARY)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"\0{ABSTRACT_SOCKET}")
        listening.listen()
        listening.setblocking(False)
        bench = await Workbench("local", home / "home", home / "contexts").open()
        bench.context_folder(PLAIN)
        offers = {*bench.places.capabilities, platform.machine(), ""}
        tried = [(number, each) for number, each in enumerate(MISDEEDS) if each.needs in offers]
        free = _free(home)
        turns = asyncio.Semaphore(AT_ONCE)

        async def run(number: int, each: Misdeed) -> tuple[str, Done]:
            async with turns:
                return each.name, await _run(bench, number, each)

        done = dict(await asyncio.gather(*(run(number, each) for number, each in tried)))
        listed = docker("ps", "--all", "--no-trunc", "--quiet", "--filter", f"name=theory-{PLAN}.m").stdout
        containers = frozenset(listed.split())
        alive = _processes_of(containers)
        await bench.clean()
        found = docker("ps", "--all", "--quiet", "--filter", f"name=theory-{PLAN}.m").stdout
        try:
            listening.accept()[0].close()
            called = True
        except BlockingIOError:
            called = False
    forget_images()
    yield Aftermath(
        done=done,
        skipped=frozenset(each.name for each in MISDEEDS) - done.keys(),
        containers=frozenset(found.split()),
        processes=alive | _processes_of(containers),
        mounts=tuple(mount.mounted_below(home)),
        left=tuple(sorted(each.name for each in (home / "home" / "attempts").iterdir())),
        disk_used=free - _free(home),
        canary=canary.read_bytes(),
        called=called,
    )


async def test_the_table_is_as_long_as_it_is_said_to_be() -> None:
    assert len(MISDEEDS) >= 60
    assert len({each.name for each in MISDEEDS}) == len(MISDEEDS)


@pytest.mark.parametrize("misdeed", MISDEEDS, ids=lambda each: f"{each.threat} {each.name}")
async def test_a_misdeed_comes_to_nothing(aftermath: Aftermath, misdeed: Misdeed) -> None:
    """I-68, I-69, I-75: by the kernel's word, by the collector's, or by a limit; each in the one way that is said."""
    if misdeed.name in aftermath.skipped:
        pytest.skip(f"not to be tried here: {misdeed.needs}")
    done = aftermath.done[misdeed.name]
    seen = (done.result.outcome, done.result.exit_code, done.result.logs_tail[-200:])
    assert len(done.result.logs_tail) <= MAX_LOG_CHARACTERS
    match misdeed.end:
        case End.BLOCKED:
            assert seen[:2] == (AttemptOutcome.FAILED, REFUSED_EXIT), seen
            assert done.result.logs_tail.strip() in misdeed.words
        case End.REFUSED:
            assert seen == (AttemptOutcome.SUCCEEDED, 0, "done\n")
            assert {done.rule} == misdeed.words
        case End.CONTAINED:
            assert done.result.outcome is misdeed.outcome, seen
            assert done.result.oom is misdeed.oom
            assert misdeed.exit_code in {None, done.result.exit_code}, seen
            assert done.result.deadline_exceeded is (misdeed.outcome is AttemptOutcome.TIMED_OUT)


async def test_the_host_is_as_it_was(aftermath: Aftermath) -> None:
    """I-76: no container, no process, no mount, no directory, no byte of theirs; nothing of ours was touched."""
    assert aftermath.containers == frozenset()
    assert aftermath.processes == frozenset()
    assert aftermath.mounts == ()
    assert aftermath.left == ()
    assert aftermath.disk_used < DISK_SLACK
    assert aftermath.canary == CANARY
    assert not aftermath.called
