"""The vectors of events, answered by a ledger over a socket: refused for their reason, or given back byte for byte."""

import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import grpc
import pytest
import pytest_asyncio

from services.ledger.assembly import assemble
from services.ledger.config import LedgerConfig
from tests.fakes.evil_ledger.lies import SIGNER
from tests.servers import postgres_server
from tests.vectors import make_events
from theory.api.ledger.v1 import event_pb2, receipt_pb2
from theory.api.ledger.v1 import ledger_pb2 as pb
from theory.api.ledger.v1.ledger_pb2_grpc import LedgerServiceStub
from theory.core import jcs
from theory.core.chain import NewEvent
from theory.core.clock import parse_rfc3339
from theory.core.errors import Invalid, TheoryError
from theory.core.ids import SystemIds
from theory.core.ledger import Appended, PlanEvent
from theory.sdk.ledger import LedgerClient
from theory.sdk.log import LogClient
from theory.sdk.rpc import answers, unwrapped
from theory.testing.refusals import refusal, refused
from theory.wire.address import Address
from theory.wire.channel import IdentifiedChannel, call
from theory.wire.identity import Role
from theory.wire.options import MESSAGE_BYTES
from theory.wire.server import RunningServer, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

VECTORS = json.loads(make_events.FILE.read_text("ascii"))
PLACE: Mapping[str, Any] = VECTORS["place"]
APPEND = "/theory.api.ledger.v1.LedgerService/AppendEvents"


@pytest.fixture(scope="module", params=["memory", "sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ExitStack() as stack:
        file = tmp_path_factory.mktemp("d") / "ledger.db"
        url_of: Mapping[str, Callable[[], str]] = {
            "memory": lambda: "memory:",
            "sqlite": lambda: f"sqlite:///{file}",
            "postgresql": lambda: stack.enter_context(postgres_server()),
        }
        yield url_of[request.param]()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningServer]:
    config = LedgerConfig.load({"home": tmp_path_factory.mktemp("h"), "database_url": database_url})
    async with running([await assemble(config)]) as server:
        yield server


@pytest.fixture(scope="module")
def plans() -> Iterator[str]:
    """Plans that have no events yet; none is that of the vectors."""
    return (f"p-{number}" for number in itertools.count(2))


def _item(plan_id: str, body: bytes = b"{}", **fields: str) -> pb.AppendEventsRequest.Item:
    named = {"event_id": PLACE["event_id"], "kind": PLACE["kind"], "ts": PLACE["ts"], **fields}
    return pb.AppendEventsRequest.Item(plan_id=plan_id, event=event_pb2.NewEvent(**named, body=body))


async def _appended(
    server: RunningServer, items: Sequence[pb.AppendEventsRequest.Item]
) -> list[Appended | TheoryError]:
    stub = LedgerServiceStub(server.channel(Role.RESOURCES))
    response = await call(stub.AppendEvents, pb.AppendEventsRequest(items=items))
    return list(answers(response.results, lambda each: Appended(each.seq, each.this_hash)))


async def _stored(server: RunningServer, plan_id: str) -> list[event_pb2.Event]:
    """What anyone can read of a chain that verifies."""
    assert await LedgerClient(server.channel()).verify_plan(plan_id) == []
    response = await call(
        LedgerServiceStub(server.channel()).ListEvents, pb.ListEventsRequest(plan_id=plan_id, page_size=1000)
    )
    return list(response.events)


async def test_a_body_is_refused_by_its_rule_or_kept_byte_for_byte(server: RunningServer, plans: Iterator[str]) -> None:
    sent = [(next(plans), vector) for vector in VECTORS["bodies"]]
    items = [_item(plan_id, make_events.bytes_in(vector["body"])) for plan_id, vector in sent]
    for (plan_id, vector), answer in zip(sent, await _appended(server, items), strict=True):
        stored = await _stored(server, plan_id)
        if "rule" in vector:
            error = refused(answer, Invalid, "EVENT_BODY_INVALID")
            assert (error.metadata["field"], error.metadata["rule"]) == ("body", vector["rule"]), vector["name"]
            assert error.metadata["at"], vector["name"]
            assert stored == [], vector["name"]
        else:
            assert isinstance(answer, Appended), (vector["name"], answer)
            [event] = stored
            begins = b'{"body":%s,"event_id":' % make_events.bytes_in(vector["kept"])
            assert event.preimage.startswith(begins), vector["name"]
            assert (event.seq, event.this_hash) == answer


async def test_an_event_in_the_place_of_the_vectors_has_their_hash(server: RunningServer) -> None:
    vector = next(each for each in VECTORS["bodies"] if each["name"] == "not in a normal form")
    item = _item(PLACE["plan_id"], make_events.bytes_in(vector["body"]))
    assert await _appended(server, [item]) == [Appended(PLACE["seq"], vector["this_hash"])]
    [stored] = await _stored(server, PLACE["plan_id"])
    assert stored.this_hash == vector["this_hash"]


@pytest.mark.parametrize(("table", "field"), [("kinds", "kind"), ("event_ids", "event_id"), ("times", "ts")])
async def test_a_field_is_refused_for_its_reason_or_kept_as_it_is(
    server: RunningServer, plans: Iterator[str], table: str, field: str
) -> None:
    sent = [(next(plans), vector) for vector in VECTORS[table]]
    items = [_item(plan_id, **{field: vector["text"]}) for plan_id, vector in sent]
    for (plan_id, vector), answer in zip(sent, await _appended(server, items), strict=True):
        stored = [getattr(event, field) for event in await _stored(server, plan_id)]
        assert _reason(answer) == vector.get("reason"), vector["text"]
        assert stored == ([] if "reason" in vector else [vector["text"]])


async def test_a_chain_is_refused_for_its_reason_or_begun(server: RunningServer) -> None:
    before = [each.plan_id async for each in LedgerClient(server.channel()).chains()]
    sent = [each for each in VECTORS["chains"] if each["text"] not in before]
    answered = await _appended(server, [_item(each["text"]) for each in sent])
    assert [_reason(answer) for answer in answered] == [each.get("reason") for each in sent]
    after = {each.plan_id async for each in LedgerClient(server.channel()).chains()}
    assert after - set(before) == {each["text"] for each in sent if "reason" not in each}


def _reason(answer: Appended | TheoryError) -> str | None:
    return answer.reason if isinstance(answer, TheoryError) else None


async def test_clocks_that_are_wrong_change_neither_the_order_nor_what_they_said(
    server: RunningServer, plans: Iterator[str]
) -> None:
    plan_id, ledger = next(plans), LedgerClient(server.channel())
    times = [each["text"] for each in VECTORS["times"] if "reason" not in each]
    unwrapped(await _appended(server, [_item(plan_id, event_id=f"e-{at}", ts=ts) for at, ts in enumerate(times)]))
    assert [event.ts for event in await _stored(server, plan_id)] == times
    first, last = (parse_rfc3339(each) for each in (min(times), max(times)))
    between = [event.ts async for page in ledger.events(plan_id, begin=first, end=last) for event in page.events]
    assert between == [each for each in times if each != max(times)]


@pytest.mark.parametrize("expected_seq", [-(2**63), -1, 1, 2**53, 2**63 - 1])
async def test_a_position_where_the_chain_does_not_stand_is_a_conflict(
    server: RunningServer, plans: Iterator[str], expected_seq: int
) -> None:
    plan_id = next(plans)
    item = _item(plan_id)
    item.expected_seq = expected_seq
    [answer] = await _appended(server, [item])
    assert isinstance(answer, TheoryError)
    assert (answer.reason, answer.metadata) == ("SEQ_CONFLICT", {"seq": "0"})
    assert await _stored(server, plan_id) == []


async def test_an_item_without_an_event_is_refused_alone(server: RunningServer, plans: Iterator[str]) -> None:
    plan_id = next(plans)
    empty, good = await _appended(server, [pb.AppendEventsRequest.Item(plan_id=plan_id), _item(plan_id)])
    refused(empty, Invalid, "TIME_INVALID")
    assert isinstance(good, Appended)


@pytest.mark.parametrize("count", [0, 1_001])
async def test_a_batch_of_another_size_is_refused_whole(
    server: RunningServer, plans: Iterator[str], count: int
) -> None:
    plan_id = next(plans)
    items = [_item(plan_id, event_id=f"e-{at}") for at in range(count)]
    error = await refusal(_appended(server, items), Invalid, "BATCH_SIZE")
    assert error.metadata == {"max": "1000"}
    assert await _stored(server, plan_id) == []


async def test_a_message_that_is_too_large_is_not_sent(server: RunningServer, plans: Iterator[str]) -> None:
    plan_id = next(plans)
    error = await refusal(_appended(server, [_item(plan_id, b" " * MESSAGE_BYTES)]), Invalid, "MESSAGE_TOO_LARGE")
    assert error.metadata == {"max_bytes": str(MESSAGE_BYTES)}
    assert await _stored(server, plan_id) == []


async def test_a_message_that_is_too_large_is_not_read(server: RunningServer, plans: Iterator[str]) -> None:
    plan_id = next(plans)
    request = pb.AppendEventsRequest(items=[_item(plan_id), _item(plan_id, b" " * MESSAGE_BYTES)])
    assert server.keys is not None
    unbound = grpc.aio.insecure_channel(
        Address.parse(server.url).target, options=[("grpc.max_send_message_length", -1)]
    )
    async with IdentifiedChannel(
        unbound, url=server.url, token=server.keys.token_of(Role.RESOURCES), ids=SystemIds()
    ) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await LedgerServiceStub(channel).AppendEvents(request)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await _stored(server, plan_id) == []


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\xff\xff\xff", id="noise"),
        pytest.param(b"\x0a\x7f", id="an item that is cut off"),
        pytest.param(b"\x0a\x04\x0a\x02\xff\xfe", id="a chain that is not UTF-8"),
        pytest.param(b"\x0a\x05\x0a\x03\xed\xa0\x80", id="a chain with half a surrogate pair"),
        pytest.param(b'{"items":[]}', id="JSON"),
    ],
)
async def test_bytes_that_are_no_message_are_refused(server: RunningServer, sent: bytes) -> None:
    method: Any = server.channel(Role.RESOURCES).unary_unary(
        APPEND, request_serializer=lambda given: given, response_deserializer=lambda given: given
    )
    await refusal(call(method, sent), Invalid, "FIELD_INVALID")


@pytest.mark.parametrize("text", ["", "b3:\x00", "b3:" + "0" * 64, "\ufffd", "x" * 10_000, "b3:\u00e9", "b3:e\u0301"])
async def test_a_receipt_that_nobody_wrote_is_unknown_whatever_its_name(server: RunningServer, text: str) -> None:
    stub = LedgerServiceStub(server.channel())
    response = await call(stub.GetReceipts, pb.GetReceiptsRequest(receipt_ids=[text]))
    [status] = [each.status for each in response.results]
    assert (status.reason, status.metadata["receipt_id"][:200]) == ("RECEIPT_UNKNOWN", text[:200])


@pytest.mark.parametrize(
    ("reason", "given"),
    [
        ("EVENT_BODY_INVALID", {"body": b'{"a":0.5}'}),
        ("EVENT_KIND_INVALID", {"kind": "execution"}),
        ("EVENT_KIND_DENIED", {"kind": "budget.opened"}),
        ("EVENT_ID_INVALID", {"event_id": "ledger/claim"}),
        ("TIME_INVALID", {"ts": "2026-02-29T00:00:00.000000Z"}),
    ],
)
async def test_a_claim_with_a_bad_event_claims_nothing(
    server: RunningServer, plans: Iterator[str], reason: str, given: Mapping[str, Any]
) -> None:
    plan_id = next(plans)
    stub = LedgerServiceStub(server.channel(Role.EXECUTOR))
    event = {"event_id": "e", "kind": "execution.noted", "ts": PLACE["ts"], "body": b"{}"}
    sound, bad = event_pb2.NewEvent(**event), event_pb2.NewEvent(**{**event, "event_id": "f", **given})
    item = pb.ClaimRequest.Item(plan_id=plan_id, execution_id=f"{plan_id}.x", events=[sound, bad])
    response = await call(stub.Claim, pb.ClaimRequest(items=[item]))
    assert [each.status.reason for each in response.results] == [reason]
    assert await _stored(server, plan_id) == []


async def test_an_execution_of_another_plan_is_neither_claimed_nor_settled(
    server: RunningServer, plans: Iterator[str]
) -> None:
    owner, other = next(plans), next(plans)
    stub, execution_id = LedgerServiceStub(server.channel(Role.EXECUTOR)), f"{owner}.x"
    for plan_id, reason in ((owner, ""), (other, "ID_INVALID"), ("P", "ID_INVALID"), ("", "ID_INVALID")):
        item = pb.ClaimRequest.Item(plan_id=plan_id, execution_id=execution_id)
        [claimed] = (await call(stub.Claim, pb.ClaimRequest(items=[item]))).results
        assert claimed.status.reason == reason
    failed = receipt_pb2.ATTEMPT_OUTCOME_FAILED
    for plan_id, reason in ((other, "SETTLEMENT_INVALID"), ("P", "ID_INVALID"), (owner, "")):
        end = pb.SettleRequest.Item(plan_id=plan_id, execution_id=execution_id, epoch=1, outcome=failed, final=True)
        [settled] = (await call(stub.Settle, pb.SettleRequest(items=[end]))).results
        assert settled.status.reason == reason
    assert await _stored(server, other) == []
    assert [event.kind for event in await _stored(server, owner)] == ["execution.claimed", "execution.settled"]


async def test_facts_are_refused_by_the_rules_of_a_body_or_stated_byte_for_byte(
    server: RunningServer, plans: Iterator[str]
) -> None:
    plan_id = next(plans)
    own = jcs.parse_object((await _settled(server, plan_id, "own", b"{}")).receipt.preimage).keys()
    # Facts may be longer and nest deeper; no byte means none; and they do not bear the names of the receipt's own.
    sent = [each for each in VECTORS["bodies"] if each.get("rule") not in {"size", "depth"}]
    sent = [each for each in sent if each["name"] not in {"no byte", "names of an event's own fields"}]
    for at, vector in enumerate(sent):
        result = await _settled(server, plan_id, str(at), make_events.bytes_in(vector["body"]))
        if "rule" in vector:
            said = result.status.reason, result.status.metadata["field"], result.status.metadata["rule"]
            assert said == ("SETTLEMENT_INVALID", "facts", vector["rule"]), vector["name"]
        else:
            stated = jcs.parse_object(result.receipt.preimage)
            facts = {name: value for name, value in stated.items() if name not in own}
            assert jcs.canonical(facts) == make_events.bytes_in(vector["kept"]), vector["name"]
    assert await LedgerClient(server.channel()).verify_plan(plan_id) == []


async def _settled(server: RunningServer, plan_id: str, name: str, facts: bytes) -> pb.SettleResponse.Result:
    """The answer to the settlement of an attempt that failed, with these facts."""
    stub = LedgerServiceStub(server.channel(Role.EXECUTOR))
    execution_id = f"{plan_id}.{name}"
    await call(stub.Claim, pb.ClaimRequest(items=[pb.ClaimRequest.Item(plan_id=plan_id, execution_id=execution_id)]))
    failed = receipt_pb2.ATTEMPT_OUTCOME_FAILED
    item = pb.SettleRequest.Item(
        plan_id=plan_id, execution_id=execution_id, epoch=1, outcome=failed, final=True, facts=facts
    )
    [result] = (await call(stub.Settle, pb.SettleRequest(items=[item]))).results
    return result


async def test_the_client_answers_what_cannot_be_sent_and_sends_the_rest(
    server: RunningServer, plans: Iterator[str]
) -> None:
    plan_id = next(plans)
    bodies: Mapping[str, Any] = {
        "float": {"a": 0.5},
        "finite": {"a": float("nan")},
        "safe_integer": {"a": 2**63},
        "surrogate": {"a": "\ud800"},
        "type": {"a": b""},
        "key": {1: 1},
        "object": [("a", 1)],
        "size": {"a": "x" * (2 * MESSAGE_BYTES)},
    }
    events = [NewEvent(rule, PLACE["kind"], PLACE["ts"], body) for rule, body in bodies.items()]
    fields = [
        NewEvent("\ud800", PLACE["kind"], PLACE["ts"], {}),
        NewEvent("e", 7, PLACE["ts"], {}),  # type: ignore[arg-type]  # what is refused
    ]
    sound = NewEvent("sound", PLACE["kind"], PLACE["ts"], {})
    answered = await LedgerClient(server.channel(Role.RESOURCES)).append_many(
        [
            *(PlanEvent(plan_id, each) for each in (*events, *fields)),
            PlanEvent("p\udcff", sound),
            PlanEvent(plan_id, sound, 2**63),
            PlanEvent(plan_id, sound),
        ]
    )
    rules = [refused(answer, Invalid, "EVENT_BODY_INVALID").metadata["rule"] for answer in answered[: len(events)]]
    assert rules == list(bodies)
    for answer in answered[len(events) : -1]:
        refused(answer, Invalid, "FIELD_INVALID")
    assert answered[-1] == Appended(1, (await _stored(server, plan_id))[0].this_hash)


async def test_the_client_says_of_a_question_that_cannot_be_sent_that_it_is_invalid(server: RunningServer) -> None:
    ledger = LedgerClient(server.channel())
    for asked in (
        anext(ledger.events("p\udcff")),
        anext(ledger.events("p", 2**63)),
        anext(ledger.events("p", kinds=["\udcff"])),
        anext(ledger.tail("p\udcff")),
        anext(ledger.tail("p", -(2**63) - 1)),
        ledger.verify_plan("p\udcff"),
        ledger.prune("p\udcff"),
        ledger.prune("p", to_seq=2**63),
    ):
        await refusal(asked, Invalid, "FIELD_INVALID")
    await refusal(LogClient(server.channel(), SIGNER.key).sign(["\udcff"]), Invalid, "FIELD_INVALID")
    bad, unknown = await ledger.get_receipts(["\udcff", "b3:x"])
    refused(bad, Invalid, "FIELD_INVALID")
    assert isinstance(unknown, TheoryError)
    assert unknown.reason == "RECEIPT_UNKNOWN"
