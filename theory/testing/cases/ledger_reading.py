"""What every ledger promises of reading chains in part, and of following them, over the wire."""

import asyncio
from contextlib import aclosing

from google.protobuf.timestamp_pb2 import Timestamp

from theory.api.ledger.v1 import ledger_pb2 as pb
from theory.api.ledger.v1.ledger_pb2_grpc import LedgerServiceStub
from theory.core.chain import NewEvent
from theory.core.clock import parse_rfc3339
from theory.core.errors import Invalid
from theory.core.ledger import PlanEvent
from theory.sdk.ledger import LedgerClient
from theory.sdk.rpc import unwrapped
from theory.testing.case import Target, case
from theory.testing.refusals import refusal
from theory.wire.channel import call
from theory.wire.identity import Role

_TIMES = tuple(f"2026-01-02T03:04:05.00000{at}Z" for at in (3, 1, 2))
_KINDS = ("scratch.kv.changed", "scratch.queue.published", "scratch.queue.retry")


@case()
async def a_listing_is_filtered_by_kind_family_and_time(target: Target) -> None:
    """Kinds, families and times choose events, in the order of `seq` all the same, over pages of any size (I-155)."""
    plan_id = target.fresh("plan")
    await _append(target, plan_id, *_KINDS)
    assert await _listed(target, plan_id, kinds=[_KINDS[0], _KINDS[2]]) == [1, 3]
    assert await _listed(target, plan_id, kinds=["scratch.queue.*"]) == [2, 3]
    assert await _listed(target, plan_id, kinds=["scratch.kv.*", _KINDS[1]]) == [1, 2]
    assert await _listed(target, plan_id, kinds=["streams.*"]) == []
    assert await _listed(target, plan_id, begin=_TIMES[2]) == [1, 3]
    assert await _listed(target, plan_id, end=_TIMES[2]) == [2]
    assert await _listed(target, plan_id, begin=_TIMES[1], end=_TIMES[0], kinds=["scratch.*"]) == [2, 3]


@case()
async def a_bad_filter_is_refused(target: Target) -> None:
    """What is no kind, no family, no time, or a time behind its end is `Invalid` and lists nothing (I-89)."""
    stub, plan_id = LedgerServiceStub(target.channel()), target.fresh("plan")
    for kind in ("", "*", "scratch", "Scratch.*", "scratch.*.x"):
        request = pb.ListEventsRequest(plan_id=plan_id, kinds=[kind])
        await refusal(call(stub.ListEvents, request), Invalid, "EVENT_KIND_INVALID")
    late, early = Timestamp(seconds=2), Timestamp(seconds=1)
    backwards = pb.ListEventsRequest(plan_id=plan_id, begin_time=late, end_time=early)
    await refusal(call(stub.ListEvents, backwards), Invalid, "TIME_INVALID")
    for wrong in (Timestamp(seconds=2**62), Timestamp(seconds=-(2**62)), Timestamp(nanos=-1)):
        request = pb.ListEventsRequest(plan_id=plan_id, begin_time=wrong)
        await refusal(call(stub.ListEvents, request), Invalid, "TIME_INVALID")
    first = pb.ListEventsRequest(plan_id=plan_id, page_size=1, kinds=["scratch.*"])
    await _append(target, plan_id, *_KINDS)
    token = (await call(stub.ListEvents, first)).next_page_token
    other = pb.ListEventsRequest(plan_id=plan_id, page_size=1, kinds=["scratch.kv.*"], page_token=token)
    await refusal(call(stub.ListEvents, other), Invalid, "PAGE_TOKEN_INVALID")


@case()
async def a_tail_tells_every_event_once_and_can_be_resumed(target: Target) -> None:
    """It gives what is there, then what is appended, in order; from each position another goes on (I-156)."""
    plan_id, ledger = target.fresh("plan"), LedgerClient(target.channel())
    await _append(target, plan_id, _KINDS[0])
    seen: list[int] = []
    positions: list[int] = []

    async def read() -> None:
        async with aclosing(ledger.tail(plan_id)) as pages:
            async for page in pages:
                seen.extend(each.seq for each in page.events)
                positions.append(page.after_seq)
                if len(seen) == 4:
                    return

    reading = asyncio.create_task(read())
    for at, kind in enumerate(_KINDS):
        await _append(target, plan_id, kind, prefix=f"later{at}")
    async with asyncio.timeout(30):
        await reading
    assert (seen, positions[-1]) == ([1, 2, 3, 4], 4)
    assert positions == sorted(positions)
    async with aclosing(ledger.tail(plan_id, 2, kinds=["scratch.queue.*"])) as pages:
        resumed = await anext(pages)
    assert [each.seq for each in resumed.events] == [3, 4]


@case()
async def a_tail_waits_for_a_chain_that_is_not_there(target: Target) -> None:
    """A chain without events is followed from its first one on; what is no chain is `Invalid` (I-156)."""
    plan_id, ledger = target.fresh("plan"), LedgerClient(target.channel())
    async with asyncio.timeout(30), aclosing(ledger.tail(plan_id)) as pages:
        first = asyncio.ensure_future(anext(pages))
        await _append(target, plan_id, _KINDS[0])
        assert [each.seq for each in (await first).events] == [1]
    async with aclosing(ledger.tail("No Chain")) as pages:
        await refusal(anext(pages), Invalid, "ID_INVALID")


async def _append(target: Target, plan_id: str, *kinds: str, prefix: str = "e") -> None:
    events = [
        PlanEvent(plan_id, NewEvent(f"{prefix}{at}", kind, _TIMES[at], {"at": at})) for at, kind in enumerate(kinds)
    ]
    unwrapped(await LedgerClient(target.channel(Role.RESOURCES)).append_many(events))


async def _listed(
    target: Target, plan_id: str, *, kinds: list[str] | None = None, begin: str = "", end: str = ""
) -> list[int]:
    stub, found = LedgerServiceStub(target.channel()), list[int]()
    request = pb.ListEventsRequest(plan_id=plan_id, kinds=kinds or [], page_size=1)
    if begin:
        request.begin_time.FromDatetime(parse_rfc3339(begin))
    if end:
        request.end_time.FromDatetime(parse_rfc3339(end))
    while True:
        page = await call(stub.ListEvents, request)
        found += [each.seq for each in page.events]
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token
