"""The mock runtime: results in the canonical form, at no time."""

from pathlib import Path

import pytest

from services.executor.adapters.places import MemoryPlaces
from services.executor.adapters.runtimes import RuntimeSettings, open_runtime
from services.executor.adapters.runtimes.mock.runtime import MockRuntime
from services.executor.ports.place import PlaceRequest
from services.executor.ports.runtime import Runtime
from tests.unit.services.executor.adapters.runtimes.attempts import REF, context, processor
from theory.core.clock import FakeClock
from theory.core.receipt import AttemptOutcome

SPEC = processor()


@pytest.fixture
def memory() -> MemoryPlaces:
    return MemoryPlaces()


@pytest.fixture
def runtime(memory: MemoryPlaces) -> Runtime:
    return MockRuntime(memory, FakeClock())


async def test_it_is_opened_by_its_kind(tmp_path: Path, memory: MemoryPlaces) -> None:
    opened = await open_runtime("mock", RuntimeSettings(home=tmp_path, clock=FakeClock(), memory=memory))
    assert (opened.kind, opened.isolation) == ("mock", "none")
    assert await opened.probe() == {"runtime": "mock"}
    await opened.close()


async def test_what_it_writes_is_collected_from_memory(runtime: Runtime, memory: MemoryPlaces) -> None:
    place = await memory.prepare(PlaceRequest("plan-1.step-a0", (), {}, 10_000, 10, in_memory=True), b"{}")
    result = await runtime.invoke(REF, context(SPEC))
    assert (result.outcome, result.exit_code, result.message) == (AttemptOutcome.SUCCEEDED, 0, "")
    async with memory.written(place) as tree:
        found = [each.relative async for each in tree.files()]
    assert found == ["artifacts/outputs/step/mock.json", "result.json"]


async def test_a_directory_serves_as_well(runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    await runtime.invoke(REF, context(SPEC, place=tmp_path))
    written = {each.relative_to(tmp_path).as_posix() for each in tmp_path.rglob("*") if each.is_file()}
    assert written == {"out/artifacts/outputs/step/mock.json", "out/result.json"}


@pytest.mark.parametrize(
    ("outcome", "exit_code"),
    [("failed", 1), ("timed_out", 137), ("oom", 137), ("lost", None)],
)
async def test_a_spec_can_ask_for_an_end(runtime: Runtime, outcome: str, exit_code: int | None) -> None:
    spec = processor(adapter={"mock": {"outcome": outcome, "attempts": 2}})
    results = [await runtime.invoke(REF, context(spec, attempt_idx=idx, place=Path("/dev/null/x"))) for idx in (0, 1)]
    assert [(each.outcome.value, each.exit_code) for each in results] == [(outcome, exit_code)] * 2
    assert (results[0].oom, results[0].deadline_exceeded) == (outcome == "oom", outcome == "timed_out")


async def test_after_the_failures_that_were_asked_for_it_succeeds(runtime: Runtime, memory: MemoryPlaces) -> None:
    spec = processor(adapter={"mock": {"outcome": "failed", "attempts": 1}})
    await memory.prepare(PlaceRequest("plan-1.step-a1", (), {}, 10_000, 10, in_memory=True), b"{}")
    result = await runtime.invoke(REF, context(spec, attempt_idx=1))
    assert result.outcome is AttemptOutcome.SUCCEEDED


async def test_the_image_is_the_one_that_is_declared(runtime: Runtime) -> None:
    pinned = processor(image={"oci": "registry.example/step:v1@sha256:" + "a" * 64})
    assert (await runtime.resolve_image(pinned)).digest == "sha256:" + "a" * 64
    assert (await runtime.resolve_image(SPEC)).digest == SPEC.digest()
    assert (await runtime.resolve_image(SPEC)).kind == "mock"


async def test_there_is_never_anything_to_clean_up(runtime: Runtime) -> None:
    await runtime.cancel(context(SPEC))
    await runtime.release("plan-1.step-a0")
    assert await runtime.reap(frozenset()) == ()
