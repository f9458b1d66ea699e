"""What every ledger promises of its chains, over the wire. Its other promises are in `budget` and `settlement`."""

import asyncio
from collections.abc import Mapping

from theory.api.ledger.v1 import event_pb2
from theory.api.ledger.v1 import ledger_pb2 as pb
from theory.api.ledger.v1.ledger_pb2_grpc import LedgerServiceStub
from theory.core import jcs
from theory.core.chain import GENESIS, Event, NewEvent, verify_chain
from theory.core.errors import AlreadyExists, Conflict, Denied, Invalid, TheoryError
from theory.core.jcs import JSON
from theory.core.ledger import Appended, PlanEvent
from theory.sdk.ledger import LedgerClient
from theory.sdk.rpc import answers, unwrapped
from theory.testing.case import Target, case
from theory.testing.refusals import refusal, refused
from theory.wire.channel import call
from theory.wire.identity import Role

_TS = "2026-01-02T03:04:05.000006Z"
_MAX_BODY_BYTES = 64 * 1024


@case()
async def events_are_numbered_without_a_gap(target: Target) -> None:
    """Events of a plan are numbered 1, 2, 3 under any concurrency, and their chain verifies (I-46, I-47)."""
    plan_id, writers, each = target.fresh("plan"), 8, 12
    roles = (Role.RESOURCES, Role.ARTIFACTS)
    kinds = {Role.RESOURCES: "scratch.kv.changed", Role.ARTIFACTS: "artifact.written"}

    async def write(writer: int) -> list[Appended]:
        role = roles[writer % len(roles)]
        ledger = LedgerClient(target.channel(role))
        items = [_event(plan_id, f"{writer}/{count}", kind=kinds[role]) for count in range(each)]
        return [place for item in items for place in unwrapped(await ledger.append_many([item]))]

    places = [place for written in await asyncio.gather(*map(write, range(writers))) for place in written]
    assert sorted(place.seq for place in places) == list(range(1, writers * each + 1))
    events, head = await _chain(target, plan_id)
    assert {(event.seq, event.this_hash) for event in events} == {(each.seq, each.this_hash) for each in places}
    assert verify_chain(events, plan_id=plan_id, head=head) == []


@case()
async def the_first_event_follows_zeros(target: Target) -> None:
    """The first `prev_hash` is 64 zeros, each later one the hash before it (I-47)."""
    plan_id = target.fresh("plan")
    await _append(target, *(_event(plan_id, str(count)) for count in range(3)))
    events, head = await _chain(target, plan_id)
    assert [event.prev_hash for event in events] == [GENESIS, events[0].this_hash, events[1].this_hash]
    assert head == (3, events[2].this_hash)


@case()
async def a_body_is_kept_in_canonical_form(target: Target) -> None:
    """What is hashed and kept is the canonical text, whatever the spelling it came in (I-48)."""
    plan_id = target.fresh("plan")
    spelled = b' {"z": "\\u00e9", "a": [1, 2,\n null]}'
    [place] = await _append_raw(target, Role.RESOURCES, _raw(plan_id, "e", spelled))
    assert isinstance(place, Appended)
    [event], _ = await _chain(target, plan_id)
    assert event.body == {"a": [1, 2, None], "z": "\u00e9"}
    assert event.preimage == jcs.canonical(jcs.parse(event.preimage))


@case()
async def a_repeated_event_changes_nothing(target: Target) -> None:
    """Appending an event id again returns the first place, later and within one batch alike (I-50)."""
    plan_id, item = target.fresh("plan"), _event(target.fresh("plan"), "same")
    first, second, other = unwrapped(await _append(target, item, item, _event(item.plan_id, "other")))
    assert first == second != other
    assert unwrapped(await _append(target, item)) == [first]
    assert (await _chain(target, item.plan_id))[1] == (2, other.this_hash)
    assert unwrapped(await _append(target, _event(plan_id, "same")))[0].seq == 1


@case()
async def an_event_id_names_one_content(target: Target) -> None:
    """The same id with another kind, time or body is `AlreadyExists` `EVENT_ID_TAKEN` and appends nothing (I-50)."""
    plan_id = target.fresh("plan")
    await _append(target, _event(plan_id, "a", {"n": 1}))
    others = (
        _event(plan_id, "a", {"n": 2}),
        _event(plan_id, "a", {"n": 1}, kind="scratch.queue.published"),
        PlanEvent(plan_id, NewEvent("a", "scratch.kv.changed", "2026-01-02T03:04:05.000007Z", {"n": 1})),
    )
    for answer in await _append(target, *others):
        assert refused(answer, AlreadyExists, "EVENT_ID_TAKEN").metadata == {"event_id": "a"}
    assert (await _chain(target, plan_id))[1][0] == 1


@case()
async def an_expected_position_is_kept(target: Target) -> None:
    """An append whose `expected_seq` is not the head is `Conflict` `SEQ_CONFLICT` and appends nothing (I-51)."""
    plan_id = target.fresh("plan")
    first, wrong, second = await _append(
        target, _event(plan_id, "a", seq=0), _event(plan_id, "b", seq=0), _event(plan_id, "c", seq=1)
    )
    assert isinstance(first, Appended)
    assert isinstance(second, Appended)
    assert refused(wrong, Conflict, "SEQ_CONFLICT").metadata == {"seq": "1"}
    assert unwrapped(await _append(target, _event(plan_id, "a", seq=0))) == [first]
    assert [event.event_id for event in (await _chain(target, plan_id))[0]] == ["a", "c"]


@case()
async def of_writers_that_expect_one_position_one_wins(target: Target) -> None:
    """Of concurrent appends at one expected position exactly one succeeds (I-51)."""
    plan_id = target.fresh("plan")
    ledger = LedgerClient(target.channel(Role.RESOURCES))
    tried = await asyncio.gather(*(ledger.append_many([_event(plan_id, str(at), seq=0)]) for at in range(8)))
    won = [answer for [answer] in tried if isinstance(answer, Appended)]
    assert [place.seq for place in won] == [1]
    assert all(isinstance(answer, Appended | Conflict) for [answer] in tried)


@case()
async def a_bad_body_is_refused_alone(target: Target) -> None:
    """A body with a float, a key twice, over 64 KiB or no object is `Invalid`; its neighbours are kept (I-52)."""
    plan_id = target.fresh("plan")
    full = b'{"a":"' + b"x" * (_MAX_BODY_BYTES - len(b'{"a":""}')) + b'"}'
    bad = (
        b'{"a":0.5}',
        b"[]",
        b'{"a":1,"a":1}',
        b"{",
        b"",
        b'{"a":NaN}',
        b'{"a":9007199254740992}',
        full[:-2] + b'x"}',
    )
    items = [_raw(plan_id, f"bad/{at}", body) for at, body in enumerate(bad)]
    answered = await _append_raw(target, Role.RESOURCES, _raw(plan_id, "a", full), *items, _raw(plan_id, "z", b"{}"))
    for answer in answered[1:-1]:
        refused(answer, Invalid, "EVENT_BODY_INVALID")
    assert [event.event_id for event in (await _chain(target, plan_id))[0]] == ["a", "z"]


@case()
async def a_malformed_event_is_refused_alone(target: Target) -> None:
    """Ids, kinds and times have one form; what breaks it is `Invalid` and its neighbours are kept (I-2, I-86)."""
    plan_id = target.fresh("plan")
    bad = {
        "EVENT_ID_INVALID": [_raw(plan_id, each) for each in ("", "a b", "\u00e9", "x" * 129, "ledger/open")],
        "EVENT_KIND_INVALID": [
            _raw(plan_id, "k", kind=each) for each in ("", "scratch", "Scratch.kv", "scratch.kv.x\n")
        ],
        "TIME_INVALID": [
            _raw(plan_id, "t", ts=each)
            for each in ("", "2026-01-02", "2026-01-02T03:04:05Z", "2026-02-30T03:04:05.000006Z")
        ],
        "ID_INVALID": [_raw(each, "p") for each in ("", "Plan", "a.b", "system.", "system.X", "p" * 65)],
    }
    for reason, items in bad.items():
        *answered, good = await _append_raw(target, Role.RESOURCES, *items, _raw(plan_id, reason))
        assert isinstance(good, Appended)
        for answer in answered:
            refused(answer, Invalid, reason)


@case()
async def only_services_append(target: Target) -> None:
    """A client may not append (I-54, I-84)."""
    ledger = LedgerClient(target.channel(Role.CLIENT))
    await refusal(ledger.append_many([_event(target.fresh("plan"), "a")]), Denied, "ROLE_DENIED")


@case()
async def a_service_emits_its_own_kinds_only(target: Target) -> None:
    """Each service appends the kinds it owns, and no other (I-54)."""
    own = {
        Role.ARTIFACTS: ("artifact.written", "streams.sampled", "world.dropped"),
        Role.EXECUTOR: ("plan.submitted", "execution.started", "memo.hit"),
        Role.REGISTRY: ("spec.published", "snapshot.created"),
        Role.RESOURCES: ("scratch.kv.changed", "scratch.queue.published", "scratch.queue.deadletter"),
    }
    reserved = (
        "budget.reserved",
        "budget.opened",
        "execution.claimed",
        "execution.settled",
        "execution.lost",
        "else.x",
    )
    for role, kinds in own.items():
        plan_id = target.fresh("plan")
        allowed = [_raw(plan_id, kind, kind=kind) for kind in kinds]
        assert len(unwrapped(await _append_raw(target, role, *allowed))) == len(kinds)
        foreign = [kind for other, theirs in own.items() if other is not role for kind in theirs] + list(reserved)
        for answer in await _append_raw(target, role, *(_raw(plan_id, kind, kind=kind) for kind in foreign)):
            assert refused(answer, Denied, "EVENT_KIND_DENIED").metadata["role"] == role


@case()
async def the_chain_of_a_service_is_its_own(target: Target) -> None:
    """Outside plans a service appends to `system.<service>`, and to no other such chain (I-54)."""
    event_id = target.fresh("event")
    own, other = await _append_raw(
        target,
        Role.REGISTRY,
        _raw("system.registry", event_id, kind="spec.published"),
        _raw("system.executor", event_id, kind="spec.published"),
    )
    assert isinstance(own, Appended)
    refused(other, Denied, "EVENT_KIND_DENIED")
    assert await LedgerClient(target.channel()).verify_plan("system.registry") == []


@case()
async def a_batch_has_a_size(target: Target) -> None:
    """An empty append, and one of more than 1,000 events, is `Invalid` `BATCH_SIZE` as a whole (I-89)."""
    stub, plan_id = LedgerServiceStub(target.channel(Role.RESOURCES)), target.fresh("plan")
    most = (await LedgerClient(target.channel()).capabilities()).max_append_items
    for count in (0, most + 1):
        items = [_raw(plan_id, str(at)) for at in range(count)]
        error = await refusal(call(stub.AppendEvents, pb.AppendEventsRequest(items=items)), Invalid, "BATCH_SIZE")
        assert error.metadata == {"max": str(most)}
    assert (
        len(unwrapped(await _append_raw(target, Role.RESOURCES, *(_raw(plan_id, str(at)) for at in range(most)))))
        == most
    )


@case()
async def pages_hold_every_event_once(target: Target) -> None:
    """A chain is listed by `seq`, each event once over its pages, each page with the head (I-88)."""
    plan_id, stub = target.fresh("plan"), LedgerServiceStub(target.channel())
    await _append(target, *(_event(plan_id, str(at), kind=_KINDS[at % 2]) for at in range(7)))
    for kinds, after, expected in (
        ((), 0, [1, 2, 3, 4, 5, 6, 7]),
        (_KINDS[:1], 1, [3, 5, 7]),
        ((), 7, []),
        ((), 9, []),
    ):
        request = pb.ListEventsRequest(plan_id=plan_id, kinds=kinds, after_seq=after, page_size=2)
        seen: list[int] = []
        while True:
            page = await call(stub.ListEvents, request)
            assert page.head.seq == 7
            seen += [event.seq for event in page.events]
            if not page.next_page_token:
                break
            assert len(page.events) == 2
            request.page_token = page.next_page_token
        assert seen == expected


@case()
async def a_page_token_belongs_to_its_listing(target: Target) -> None:
    """A token with other fields, or no token at all, is `Invalid`; so is a negative size (I-88)."""
    plan_id, stub = target.fresh("plan"), LedgerServiceStub(target.channel())
    await _append(target, _event(plan_id, "a"), _event(plan_id, "b"))
    token = (await call(stub.ListEvents, pb.ListEventsRequest(plan_id=plan_id, page_size=1))).next_page_token
    for request in (
        pb.ListEventsRequest(plan_id=target.fresh("plan"), page_token=token),
        pb.ListEventsRequest(plan_id=plan_id, kinds=["a.b"], page_token=token),
        pb.ListEventsRequest(plan_id=plan_id, page_token="nonsense"),  # noqa: S106 - no credential
    ):
        await refusal(call(stub.ListEvents, request), Invalid, "PAGE_TOKEN_INVALID")
    negative = call(stub.ListEvents, pb.ListEventsRequest(plan_id=plan_id, page_size=-1))
    await refusal(negative, Invalid, "PAGE_SIZE_INVALID")


@case()
async def a_page_of_large_events_fits_a_message(target: Target) -> None:
    """Events of 64 KiB come in pages that a message holds (I-89)."""
    plan_id = target.fresh("plan")
    body = b'{"a":"' + b"x" * (_MAX_BODY_BYTES - len(b'{"a":""}')) + b'"}'
    for start in range(0, 120, 60):
        items = [_raw(plan_id, str(start + at), body) for at in range(60)]
        unwrapped(await _append_raw(target, Role.RESOURCES, *items))
    pages = [page async for page in LedgerClient(target.channel()).events(plan_id)]
    assert [event.seq for page in pages for event in page.events] == list(range(1, 121))
    assert len(pages) > 1


@case()
async def every_chain_is_listed_once(target: Target) -> None:
    """Chains are listed by id over pages, each once, with its head (I-88)."""
    plans = sorted(target.fresh("plan") for _ in range(5))
    places = unwrapped(await _append(target, *(_event(plan_id, "a") for plan_id in plans)))
    stub, request, listed = LedgerServiceStub(target.channel()), pb.ListChainsRequest(page_size=2), []
    while True:
        page = await call(stub.ListChains, request)
        listed += [(head.plan_id, head.seq, head.this_hash) for head in page.heads]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert [plan_id for plan_id, _, _ in listed] == sorted({plan_id for plan_id, _, _ in listed})
    expected = [(plan_id, 1, place.this_hash) for plan_id, place in zip(plans, places, strict=True)]
    assert [each for each in listed if each[0] in plans] == expected


@case()
async def an_empty_chain_stands_at_zero(target: Target) -> None:
    """A chain that nobody wrote to has the head (0, 64 zeros), and verifies (I-46)."""
    plan_id = target.fresh("plan")
    assert await _chain(target, plan_id) == ([], (0, GENESIS))
    assert await LedgerClient(target.channel()).verify_plan(plan_id) == []


_KINDS = ("scratch.kv.changed", "scratch.queue.published")


def _event(
    plan_id: str,
    event_id: str,
    body: Mapping[str, JSON] | None = None,
    *,
    kind: str = _KINDS[0],
    seq: int | None = None,
) -> PlanEvent:
    return PlanEvent(plan_id, NewEvent(event_id, kind, _TS, body or {}), seq)


def _raw(
    plan_id: str, event_id: str, body: bytes = b"{}", *, kind: str = _KINDS[0], ts: str = _TS
) -> pb.AppendEventsRequest.Item:
    event = event_pb2.NewEvent(event_id=event_id, kind=kind, ts=ts, body=body)
    return pb.AppendEventsRequest.Item(plan_id=plan_id, event=event)


async def _append(target: Target, *items: PlanEvent) -> list[Appended | TheoryError]:
    return list(await LedgerClient(target.channel(Role.RESOURCES)).append_many(items))


async def _append_raw(target: Target, role: Role, *items: pb.AppendEventsRequest.Item) -> list[Appended | TheoryError]:
    stub = LedgerServiceStub(target.channel(role))
    response = await call(stub.AppendEvents, pb.AppendEventsRequest(items=items))
    return list(answers(response.results, lambda each: Appended(each.seq, each.this_hash)))


async def _chain(target: Target, plan_id: str) -> tuple[list[Event], tuple[int, str]]:
    events: list[Event] = []
    head = (-1, "")
    async for page in LedgerClient(target.channel()).events(plan_id):
        events += page.events
        head = (page.head.seq, page.head.this_hash)
    return events, head
