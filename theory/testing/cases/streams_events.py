"""What every store of streams promises about its samples in the ledger, over the wire."""

from theory.core.chain import Event
from theory.core.cid import Cid
from theory.core.stream import AskedLimits
from theory.testing.case import Target, case
from theory.testing.cases.scratch_chain import require_silence, told
from theory.testing.cases.streams_series import Series, numbered


@case("LEDGER")
async def every_nth_chunk_is_recorded_once(target: Target) -> None:
    """Each chunk whose index N divides becomes one `streams.sampled` of the plan; repeats become none (I-115)."""
    series, plan_id, chunks = Series(target), target.fresh("plan"), numbered(10)
    limits = AskedLimits(max_chunks=2, sample_every_n=3)
    await series.append(*chunks[:4], limits=limits, plan_id=plan_id)
    for _ in range(2):
        await series.append(*chunks[4:], expected_idx=4, plan_id=plan_id)
    events = await told(target, plan_id, 4)
    assert [(each.kind, dict(each.body)) for each in events] == [
        (
            "streams.sampled",
            {
                "world": series.world,
                "series": series.series,
                "watermark": idx,
                "every_n": 3,
                "cid": Cid.of(chunks[idx]).text,
            },
        )
        for idx in (0, 3, 6, 9)
    ]
    require_silence(events, *chunks)


@case("LEDGER")
async def a_stream_that_is_not_sampled_is_silent(target: Target) -> None:
    """With 0 no chunk is recorded; a refused append records none either (I-115)."""
    silent, plan_id = Series(target), target.fresh("plan")
    await silent.append(*numbered(5), limits=AskedLimits(sample_every_n=0), plan_id=plan_id)
    other = silent.beside("/streams/other")
    for _ in range(2):
        await other.append(b"x", expected_idx=0, limits=AskedLimits(sample_every_n=1), plan_id=plan_id)
    [event] = await told(target, plan_id, 1)
    assert dict(event.body)["series"] == other.series


@case("LEDGER")
async def each_append_names_the_chain_of_its_samples(target: Target) -> None:
    """Appends to one stream may belong to several plans; each is told in its own chain, in order (I-115)."""
    series, plans = Series(target), [target.fresh("plan") for _ in range(2)]
    for at in range(6):
        await series.append(b"x", limits=AskedLimits(sample_every_n=1), plan_id=plans[at % 2])
    for at, plan_id in enumerate(plans):
        assert _watermarks(await told(target, plan_id, 3)) == [at, at + 2, at + 4]


def _watermarks(events: list[Event]) -> list[object]:
    return [dict(event.body)["watermark"] for event in events]
