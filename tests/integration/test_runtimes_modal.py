"""The runtime of Modal: its own client against our plane, whose sandboxes are processes of this machine."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.modal import FakeModal
from tests.fakes.modal.faults import AFTER, BEFORE, Fault
from tests.integration.workbench import PLAN, Workbench, scripted, until
from theory.core.errors import Invalid, NotFound, NotReady
from theory.core.receipt import AttemptOutcome
from theory.core.spec import ProcessorSpec

pytestmark = pytest.mark.slow

NAME = f"{PLAN}.step-a0"
DIGEST = "sha256:" + "a" * 64
IMAGE = {"oci": f"registry.example/step:1@{DIGEST}"}
CANARY = "sk-canary-48151623"


@pytest.fixture
def fake() -> Iterator[FakeModal]:
    with FakeModal() as made:
        yield made
        assert made.hub.missing == set()
        assert _running(made) == []


@pytest.fixture
async def bench(fake: FakeModal, tmp_path: Path) -> AsyncIterator[Workbench]:
    opened = await _opened(fake, tmp_path)
    yield opened
    fake.hub.faults.clear()
    await opened.clean()


async def _opened(fake: FakeModal, tmp_path: Path) -> Workbench:
    return await Workbench("modal", tmp_path / "home", tmp_path / "contexts").open(
        engine_url="", modal_url=f"modal://main?server={fake.url}"
    )


def _running(fake: FakeModal) -> list[str]:
    return fake.call(lambda: [each.sandbox_id for each in fake.plane.sandboxes.values() if each.running])


def _made(fake: FakeModal) -> int:
    return fake.call(lambda: len(fake.plane.sandboxes))


def _spec(script: str, **fields: Any) -> ProcessorSpec:
    return scripted(script, image=IMAGE, **fields)


async def test_a_processor_reads_its_world_and_writes_its_output(fake: FakeModal, bench: Workbench) -> None:
    spec = _spec("mkdir -p /work/out/artifacts; tr a-z A-Z <world/artifacts/in/a.txt >out/artifacts/b.txt; echo said")
    place = await bench.place(inputs={"/artifacts/in/a.txt": b"hello"})
    result = await bench.invoke(spec, place)
    assert (result.outcome, result.exit_code, result.logs_tail) == (AttemptOutcome.SUCCEEDED, 0, "said\n")
    assert result.started_at is not None
    assert result.finished_at is not None
    assert result.started_at <= result.finished_at
    assert await bench.written(place) == {"artifacts/b.txt": b"HELLO"}
    assert _running(fake) == []


async def test_what_it_gets_is_what_its_spec_says(fake: FakeModal, bench: Workbench) -> None:
    spec = _spec("true", adapter={"modal": {"region": "eu-west", "cloud": "aws"}})
    await bench.invoke(spec)
    (made,) = fake.call(lambda: list(fake.plane.sandboxes.values()))
    resources, network = made.definition.resources, made.definition.network_access
    assert (resources.milli_cpu, resources.milli_cpu_max) == (500, 500)
    assert (resources.memory_mb, resources.memory_mb_max) == (128, 128)
    assert network.network_access_type == network.NetworkAccessType.BLOCKED
    assert list(made.definition.scheduler_placement.regions) == ["eu-west"]
    assert fake.call(lambda: fake.plane.reference_of(made.definition.image_id)) == f"registry.example/step@{DIGEST}"


async def test_a_processor_that_fails(bench: Workbench) -> None:
    result = await bench.invoke(_spec("echo why >&2; exit 3"))
    assert (result.outcome, result.exit_code, result.logs_tail) == (AttemptOutcome.FAILED, 3, "why\n")


async def test_a_killed_processor_counts_as_out_of_memory(bench: Workbench) -> None:
    result = await bench.invoke(_spec("kill -9 $$"))
    assert (result.outcome, result.exit_code, result.oom) == (AttemptOutcome.OOM, 137, True)


async def test_a_processor_that_runs_too_long_is_ended(fake: FakeModal, bench: Workbench) -> None:
    result = await bench.invoke(_spec("sleep 60", timeout_s=1))
    assert (result.outcome, result.deadline_exceeded) == (AttemptOutcome.TIMED_OUT, True)
    assert _running(fake) == []


async def test_a_processor_that_is_cancelled(fake: FakeModal, bench: Workbench) -> None:
    spec, place = _spec("touch /work/out/running; sleep 60"), await bench.place()
    running = asyncio.create_task(bench.invoke(spec, place))
    await _until_told(fake)
    await bench.runtime.cancel(bench.context(spec, place))
    assert (await running).outcome is AttemptOutcome.CANCELLED
    assert _running(fake) == []


async def test_an_attempt_cancelled_before_it_starts_makes_nothing(fake: FakeModal, bench: Workbench) -> None:
    spec, place = _spec("true"), await bench.place()
    await bench.runtime.cancel(bench.context(spec, place))
    assert (await bench.invoke(spec, place)).outcome is AttemptOutcome.CANCELLED
    assert _made(fake) == 0


async def test_another_executor_takes_the_attempt_up(fake: FakeModal, bench: Workbench, tmp_path: Path) -> None:
    spec = _spec("echo once >>/work/out/ran; until [ -e /work/end ]; do sleep 0.05; done")
    place = await bench.place()
    running = asyncio.create_task(bench.invoke(spec, place))
    await _until_told(fake)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    other = await _opened(fake, tmp_path)
    adopted = asyncio.create_task(other.invoke(spec, place))
    await asyncio.to_thread(_let_end, fake)
    assert (await adopted).outcome is AttemptOutcome.SUCCEEDED
    assert await bench.written(place) == {"ran": b"once\n"}
    assert _made(fake) == 1
    await other.close()


async def test_a_result_that_was_noted_is_told_again(fake: FakeModal, bench: Workbench) -> None:
    spec, place = _spec("echo said; echo 1 >/work/out/a"), await bench.place()
    first = await bench.invoke(spec, place)
    assert await bench.invoke(spec, place) == first
    assert _made(fake) == 1


async def test_an_attempt_whose_sandbox_has_gone_is_lost(fake: FakeModal, bench: Workbench) -> None:
    spec, place = _spec("sleep 60"), await bench.place()
    running = asyncio.create_task(bench.invoke(spec, place))
    await _until_told(fake)
    fake.call(fake.plane.end_all)
    assert (await running).outcome is AttemptOutcome.LOST
    assert (await bench.invoke(spec, place)).outcome is AttemptOutcome.LOST
    assert _made(fake) == 1


@pytest.mark.parametrize("when", [BEFORE, AFTER])
@pytest.mark.parametrize(
    "rpc",
    [
        "AppGetOrCreate",
        "ImageGetOrCreate",
        "ImageJoinStreaming",
        "SandboxCreateV2",
        "TaskExecStart",
        "TaskExecStdinWriteStream",
        "TaskExecStdioRead",
        "TaskExecWait",
        "SandboxTerminateV2",
    ],
)
async def test_a_lost_answer_starts_nothing_twice(fake: FakeModal, bench: Workbench, rpc: str, when: str) -> None:
    """I-174."""
    fake.hub.faults.arm(Fault(rpc, when))
    place = await bench.place()
    result = await bench.invoke(_spec("echo once >>/work/out/ran"), place)
    assert result.outcome is AttemptOutcome.SUCCEEDED
    assert await bench.written(place) == {"ran": b"once\n"}
    assert _made(fake) == 1
    assert fake.hub.faults.fired == 1


@pytest.mark.parametrize("when", [BEFORE, AFTER])
@pytest.mark.parametrize(
    "rpc", ["AuthTokenGet", "SandboxGetFromNameV2", "SandboxGetTaskIdV2", "SandboxGetCommandRouterAccess"]
)
async def test_a_lost_answer_does_not_keep_an_attempt_from_being_taken_up(
    fake: FakeModal, bench: Workbench, tmp_path: Path, rpc: str, when: str
) -> None:
    spec = _spec("echo once >>/work/out/ran; until [ -e /work/end ]; do sleep 0.05; done")
    place = await bench.place()
    running = asyncio.create_task(bench.invoke(spec, place))
    await _until_told(fake)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    other = await _opened(fake, tmp_path)
    fake.hub.faults.arm(Fault(rpc, when))
    await asyncio.to_thread(_let_end, fake)
    assert (await other.invoke(spec, place)).outcome is AttemptOutcome.SUCCEEDED
    assert await bench.written(place) == {"ran": b"once\n"}
    assert (_made(fake), fake.hub.faults.fired) == (1, 1)
    await other.close()


@pytest.mark.parametrize("when", [BEFORE, AFTER])
async def test_a_lost_answer_does_not_hide_that_a_sandbox_has_gone(
    fake: FakeModal, bench: Workbench, when: str
) -> None:
    running = asyncio.create_task(bench.invoke(_spec("sleep 60"), await bench.place()))
    await _until_told(fake)
    fake.hub.faults.arm(Fault("SandboxWaitV2", when))
    fake.call(fake.plane.end_all)
    assert (await running).outcome is AttemptOutcome.LOST
    assert (_made(fake), fake.hub.faults.fired) == (1, 1)


@pytest.mark.parametrize("when", [BEFORE, AFTER])
@pytest.mark.parametrize("rpc", ["SandboxListV2", "SandboxTagsGetV2", "SandboxTerminateV2"])
async def test_a_lost_answer_spares_nothing_that_nobody_keeps(
    fake: FakeModal, bench: Workbench, rpc: str, when: str
) -> None:
    running = asyncio.create_task(bench.invoke(_spec("sleep 60"), await bench.place()))
    await _until_told(fake)
    fake.hub.faults.arm(Fault(rpc, when))
    assert await bench.runtime.reap(frozenset()) == (NAME,)
    assert (await running).outcome is AttemptOutcome.LOST
    assert fake.hub.faults.fired == 1


@pytest.mark.parametrize(
    ("script", "rule"),
    [
        ("ln -s /etc/passwd /work/out/link", "symbolic_link"),
        ("mkfifo /work/out/pipe", "not_a_file"),
        ("head -c 5000000 /dev/zero >/work/out/large", "too_large"),
        ("for i in $(seq 102); do echo >/work/out/$i; done", "too_many_files"),
        ("for i in $(seq 300); do mkdir /work/out/$i; done", "too_many_files"),
        ("cd /work/out; for i in $(seq 40); do mkdir d; cd d; done; touch a", "too_deep"),
    ],
)
async def test_what_may_not_be_left_behind_is_refused(bench: Workbench, script: str, rule: str) -> None:
    with pytest.raises(Invalid) as caught:
        await bench.invoke(_spec(script))
    assert (caught.value.reason, caught.value.metadata["rule"]) == ("OUTPUT_REFUSED", rule)


async def test_secrets_are_bound_and_never_told(fake: FakeModal, bench: Workbench, tmp_path: Path) -> None:
    fake.keep_secret("mine", {"A_KEY": CANARY})
    spec = _spec(
        'echo "$A_KEY"; [ -n "$A_KEY" ]', secrets={"required": ["A_KEY"]}, adapter={"modal": {"secret": "mine"}}
    )
    result = await bench.invoke(spec)
    assert result.outcome is AttemptOutcome.SUCCEEDED
    assert CANARY not in repr(result)


async def test_a_missing_secret_starts_nothing(fake: FakeModal, bench: Workbench) -> None:
    fake.keep_secret("theory", {"OTHER": "x"})
    with pytest.raises(NotFound) as caught:
        await bench.invoke(_spec("true", secrets={"required": ["A_KEY"]}))
    assert (caught.value.reason, caught.value.metadata) == ("SECRET_UNKNOWN", {"names": "A_KEY"})
    assert _made(fake) == 0


async def test_an_image_that_cannot_be_pulled(fake: FakeModal, bench: Workbench) -> None:
    fake.plane.broken[f"registry.example/step@{DIGEST}"] = "no such manifest"
    with pytest.raises(NotReady) as caught:
        await bench.runtime.resolve_image(_spec("true"))
    assert caught.value.reason == "IMAGE_UNAVAILABLE"


async def test_an_image_is_named_by_its_digest(bench: Workbench) -> None:
    identity = await bench.runtime.resolve_image(_spec("true"))
    assert (identity.digest, identity.kind) == (DIGEST, "oci")


async def test_what_nobody_keeps_is_reaped(fake: FakeModal, bench: Workbench) -> None:
    spec, place = _spec("sleep 60"), await bench.place()
    running = asyncio.create_task(bench.invoke(spec, place))
    await _until_told(fake)
    assert await bench.runtime.reap(frozenset({NAME})) == ()
    assert await bench.runtime.reap(frozenset()) == (NAME,)
    assert (await running).outcome is AttemptOutcome.LOST
    await bench.runtime.release(NAME)
    await bench.runtime.release(NAME)


async def _until_told(fake: FakeModal) -> None:
    """Return once the sandbox was told to go on, and is waited for."""
    await until(lambda: fake.call(lambda: any(_told(each) for each in _folders(fake))))


def _told(folder: Path) -> bool:
    return (folder / "work" / ".theory" / "log").exists()


def _folders(fake: FakeModal) -> list[Path]:
    return list(fake.processes.folders.values())


def _let_end(fake: FakeModal) -> None:
    for folder in fake.call(lambda: _folders(fake)):
        (folder / "work" / "end").touch()
