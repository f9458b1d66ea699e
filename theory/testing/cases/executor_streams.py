"""What every executor promises of executions that read streams, over the wire."""

from collections.abc import Mapping, Sequence

from theory.core.chunk import chunk_path
from theory.core.cid import Cid
from theory.core.ids import PlanId
from theory.core.jcs import JSON
from theory.core.stream import AskedLimits
from theory.core.world_path import WorldPath
from theory.sdk.artifacts import ArtifactsClient
from theory.sdk.ledger import LedgerClient
from theory.testing.case import Target, case
from theory.testing.cases.executor_plans import Plans, step
from theory.testing.cases.streams_series import Series, numbered

_TWO = AskedLimits(max_chunks=2, sample_every_n=0)


def _at(series: Series, idx: int) -> str:
    return chunk_path(WorldPath(series.series), idx).text


def _listed(series: Series, chunks: Sequence[bytes], *, start: int) -> list[Mapping[str, str]]:
    return [{"path": _at(series, start + at), "cid": Cid.of(data).text} for at, data in enumerate(chunks)]


async def _read(target: Target, plan_id: PlanId) -> list[object]:
    """What each settled attempt read, in order."""
    receipts = [each async for each in LedgerClient(target.channel()).receipts(plan_id)]
    return [each.document["input_cids"] for each in receipts if each.kind == "settle"]


@case("MOCK", "PEERS")
async def what_is_read_of_a_stream_is_in_the_receipt_and_stays(target: Target) -> None:
    """Every attempt reads the chunks that were kept at the first; their bytes outlast the ring (I-134, I-135)."""
    plans, series, chunks = Plans(target), Series(target), numbered(3)
    await series.append(*chunks, limits=_TWO)
    failing = await plans.tool(mock={"outcome": "failed", "attempts": 1})
    policy = await plans.policy(max_attempts=2)
    submitted = await plans.submit(
        step("all", processor=failing, reads=["/streams/**"]),
        step("one", reads=[_at(series, 2)]),
        world=series.world,
        policy=policy,
    )
    await plans.finished(submitted.plan_id)
    both, one = _listed(series, chunks[1:], start=1), _listed(series, chunks[2:], start=2)
    found = await _read(target, submitted.plan_id)
    assert sorted(found, key=str) == sorted([both, both, one], key=str)
    await series.append(*numbered(2, start=3))
    artifacts = ArtifactsClient(target.channel())
    assert [await artifacts.get_blob(Cid.parse(each["cid"])) for each in both] == chunks[1:]


@case("MOCK", "PEERS")
async def equal_chunks_are_equal_work(target: Target) -> None:
    """A result is used again until something is appended; then the miss names the stream (I-71, I-72, I-134)."""
    plans, series = Plans(target), Series(target)
    ref = await plans.tool()
    await series.append(*numbered(2), limits=_TWO)
    told = []
    for appended in (0, 0, 5):
        if appended:
            await series.append(*numbered(appended, start=2))
        reading = step("a", processor=ref, reads=["/streams/**"], write_prefix="/artifacts/outputs/a/")
        submitted = await plans.submit(reading, world=series.world, seed=1)
        await plans.ended(submitted.plan_id)
        [execution] = await plans.executions(submitted.plan_id)
        assert execution.memo is not None
        told.append((execution.memo.hit, execution.memo.differences))
    assert told == [(False, ()), (True, ()), (False, (f"input_cids:{series.series}/**",))]


@case("MOCK", "PEERS")
async def a_read_that_finds_no_chunk_is_named(target: Target) -> None:
    """A selector of streams without a chunk ends the execution without a try, as one of artifacts does (I-134)."""
    plans, series = Plans(target), Series(target)
    await series.append(*numbered(3), limits=_TWO)
    selectors = ["/streams/none/**", _at(series, 0), series.series]
    steps = [step(f"s{at}", reads=["/streams/**", each]) for at, each in enumerate(selectors)]
    submitted = await plans.submit(*steps, world=series.world)
    await plans.ended(submitted.plan_id)
    failures = [each.failure for each in await plans.executions(submitted.plan_id)]
    assert [each and (each.reason, each.metadata["selector"]) for each in failures] == [
        ("READ_UNRESOLVED", each) for each in selectors
    ]


@case("MOCK", "PEERS")
async def predicates_see_the_chunks_that_are_read(target: Target) -> None:
    """A predicate that names a chunk is about the fixed ones alone (I-70, I-134)."""
    plans, series = Plans(target), Series(target)
    await series.append(*numbered(2), limits=_TWO)
    exists: dict[str, JSON] = {"id": "artifact.exists@1", "args": {"path": _at(series, 1)}}
    gated = await plans.tool(admission=[exists], success=[exists])
    steps = [step(f"s{idx}", processor=gated, reads=[_at(series, idx)]) for idx in (0, 1)]
    submitted = await plans.submit(*steps, world=series.world)
    await plans.ended(submitted.plan_id)
    refused, passed = await plans.executions(submitted.plan_id)
    assert refused.failure is not None
    assert refused.failure.metadata == {"predicate": "artifact.exists@1", "path": _at(series, 1)}
    assert passed.state.value == "succeeded"
