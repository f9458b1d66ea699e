"""The tests of services/executor/domain/fixing.py."""

import itertools

import pytest

from tests.documents import plan, policy, predicate, step, tool
from tests.embedded import Embedded, Ran
from tests.scripted import Act, failing
from theory.core.chunk import chunk_path
from theory.core.cid import Cid
from theory.core.errors import Exhausted, Unavailable
from theory.core.jcs import JSON
from theory.core.stream import AskedLimits
from theory.core.world_path import WorldPath

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERIES = "/streams/camera/frames"
TWO = AskedLimits(max_chunks=2)

_worlds = itertools.count(1)


@pytest.fixture
def world() -> str:
    return f"live-{next(_worlds)}"


def _at(idx: int) -> str:
    return chunk_path(WorldPath.parse(SERIES), idx).text


def _listed(*chunks: tuple[int, bytes]) -> list[JSON]:
    return [{"path": _at(idx), "cid": Cid.of(data).text} for idx, data in chunks]


async def _append(theory: Embedded, world: str, *chunks: bytes, limits: AskedLimits = TWO) -> None:
    await theory.theory.streams.append_many(world, SERIES, chunks, limits=limits)


async def _inputs(theory: Embedded, ran: Ran) -> list[JSON]:
    """What each settled attempt read, in order."""
    return [each.document["input_cids"] for each in await theory.receipts(ran.plan.plan_id)]


@pytest.mark.parametrize("reads", [[f"{SERIES}/**"], ["/streams/**", _at(2)], ["/streams/camera/**", f"{SERIES}/**"]])
async def test_a_read_of_a_stream_is_what_its_ring_keeps(theory: Embedded, world: str, reads: list[str]) -> None:
    await _append(theory, world, b"a", b"b", b"c")
    ran = await theory.run_plan(plan(step(reads=reads), world=world))
    assert await _inputs(theory, ran) == [_listed((1, b"b"), (2, b"c"))]


async def test_one_chunk_is_read_by_its_path(theory: Embedded, world: str) -> None:
    await _append(theory, world, b"a", b"b")
    ran = await theory.run_plan(plan(step(reads=[_at(1)]), world=world))
    assert await _inputs(theory, ran) == [_listed((1, b"b"))]


@pytest.mark.parametrize("selector", ["/streams/none/**", _at(0), _at(3), SERIES, "/streams/camera/frames/cover"])
async def test_a_selector_that_names_no_chunk_is_refused(theory: Embedded, world: str, selector: str) -> None:
    await _append(theory, world, b"a", b"b", b"c")
    ran = await theory.run_plan(plan(step(reads=["/streams/**", selector]), world=world))
    failure = ran["step"].failure
    assert failure is not None
    assert (failure.reason, failure.metadata) == ("READ_UNRESOLVED", {"selector": selector})
    assert theory.runtime.invoked == []


async def test_what_is_appended_during_a_dispatch_changes_nothing(theory: Embedded, world: str) -> None:
    await _append(theory, world, b"a", b"b")
    async with theory.faults.holding("ledger.claim") as claim:
        submitted = await theory.submit(plan(step(reads=["/streams/**"]), world=world))
        await claim.arrived.wait()
        for data in (b"c", b"d"):
            await _append(theory, world, data)
    ran = await theory.ended(submitted.plan_id)
    assert await _inputs(theory, ran) == [_listed((0, b"a"), (1, b"b"))]
    for data in (b"a", b"b"):
        assert await theory.theory.artifacts.get_blob(Cid.of(data)) == data


async def test_every_attempt_of_an_execution_reads_the_same(theory: Embedded, world: str) -> None:
    await theory.publish(policy("again@1", retry={"max_attempts": 2, "backoff_ms": [0]}))
    await _append(theory, world, b"a", b"b")
    theory.runtime.scripts["step"] = [failing(), Act()]
    async with theory.faults.holding("ledger.settle") as settle:
        submitted = await theory.submit(plan(step(reads=["/streams/**"]), world=world, policy="again@1"))
        await settle.arrived.wait()
        await _append(theory, world, b"c")
    ran = await theory.ended(submitted.plan_id)
    assert theory.runtime.invoked == ["step-a0", "step-a1"]
    assert await _inputs(theory, ran) == [_listed((0, b"a"), (1, b"b"))] * 2


async def test_a_result_is_used_again_until_something_is_appended(theory: Embedded, world: str) -> None:
    await theory.publish(tool("test/watch@1"))
    document = plan(step(processor="test/watch@1", reads=["/streams/**"], write_prefix="/artifacts/outputs/w/"),
                    world=world, seed=1)  # fmt: skip
    await _append(theory, world, b"a", b"b")
    hits: list[tuple[bool, tuple[str, ...]]] = []
    for appended in ((), (), (b"c", b"d")):
        if appended:
            await _append(theory, world, *appended)
        memo = (await theory.run_plan({**document, "name": f"n{len(hits)}"}))["step"].memo
        assert memo is not None
        hits.append((memo.hit, memo.differences))
    assert hits == [(False, ()), (True, ()), (False, (f"input_cids:{SERIES}/**",))]


async def test_predicates_see_the_chunks_that_are_read_and_no_others(theory: Embedded, world: str) -> None:
    holds = predicate("artifact.jmespath_ok@1", path="${inputs.chunk}", expression="ready")
    await theory.publish(tool("test/gated@1", admission=[predicate("artifact.exists@1", path="${inputs.chunk}")],
                              success=[holds]))  # fmt: skip
    await _append(theory, world, b'{"ready": true}', b'{"ready": false}')
    states = {}
    for idx, read in ((0, 0), (1, 1), (1, 0)):
        gated = step(processor="test/gated@1", reads=[_at(read)], inputs={"chunk": _at(idx)},
                     write_prefix=f"/artifacts/outputs/{idx}{read}/")  # fmt: skip
        ran = await theory.run_plan(plan(gated, world=world))
        failure = ran["step"].failure
        states[idx, read] = None if failure is None else (failure.reason, failure.metadata["predicate"])
    assert states == {
        (0, 0): None,
        (1, 1): ("PREDICATE_REFUSED", "artifact.jmespath_ok@1"),
        (1, 0): ("PREDICATE_REFUSED", "artifact.exists@1"),
    }


async def test_a_list_that_was_lost_on_its_way_was_used_by_nobody(theory: Embedded, world: str) -> None:
    await _append(theory, world, b"a")
    theory.faults.lose("world.fix_chunks", Unavailable("SERVICE_UNREACHABLE", "away"))
    ran = await theory.run_plan(plan(step(reads=["/streams/**"]), world=world))
    assert await _inputs(theory, ran) == [_listed((0, b"a"))]
    assert theory.faults.calls.count("world.fix_chunks") == 2
    assert theory.reached[:4] == ["opened", "fixed", "fixed_recorded", "claimed"]


async def test_a_disk_without_room_for_the_chunks_ends_the_execution(theory: Embedded, world: str) -> None:
    await _append(theory, world, b"a")
    theory.faults.refuse("world.fix_chunks", Exhausted("DISK_FULL", "full"))
    ran = await theory.run_plan(plan(step(reads=["/streams/**"]), world=world))
    assert ran["step"].failure is not None
    assert ran["step"].failure.reason == "DISK_FULL"


async def test_who_reads_no_stream_asks_for_nothing(theory: Embedded) -> None:
    await theory.run_plan(plan(step(reads=["/artifacts/inputs/a"]), files=await theory.upload(a=b"a")))
    assert "world.fix_chunks" not in theory.faults.calls
