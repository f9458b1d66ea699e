"""What every ledger answers to bodies and times that are wrong, or strange and sound: the same, in every store."""

from theory.api.ledger.v1 import event_pb2
from theory.api.ledger.v1 import ledger_pb2 as pb
from theory.api.ledger.v1.ledger_pb2_grpc import LedgerServiceStub
from theory.core.clock import parse_rfc3339
from theory.core.errors import Invalid, TheoryError
from theory.core.ledger import Appended
from theory.sdk.ledger import LedgerClient
from theory.sdk.rpc import answers, unwrapped
from theory.testing.case import Target, case
from theory.testing.refusals import refused
from theory.wire.channel import call
from theory.wire.identity import Role

_TS = "2026-01-02T03:04:05.000006Z"
_DEPTH = 63
_BAD = {
    "syntax": (b"", b"{", b'{"a":1,}', b'{"a":01}', b'{"a":"\x00"}', b"{} {}", b"\xef\xbb\xbf{}"),
    "utf8": (b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xc0\x80"}'),
    "object": (b"[]", b"null", b'"{}"', b"1"),
    "duplicate_key": (b'{"a":1,"a":1}', b'{"a":[{"b":1,"\\u0062":2}]}'),
    "surrogate": (b'{"a":"\\ud800"}', b'{"\\udc00":1}', b'{"a":"\\ude00\\ud83d"}'),
    "safe_integer": (b'{"a":9007199254740992}', b'{"a":-9223372036854775808}', b'{"a":' + b"9" * 5_000 + b"}"),
    "finite": (b'{"a":NaN}', b'{"a":-Infinity}', b'{"a":1e400}'),
    "float": (b'{"a":0.5}', b'{"a":1.0}', b'{"a":1e2}', b'{"a":-0.0}'),
    "depth": (b'{"a":' * (_DEPTH + 1) + b"1" + b"}" * (_DEPTH + 1), b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "size": (b'{"a":"' + b"x" * 65_529 + b'"}', b"{" + b" " * 262_143 + b"}"),
}
_STRANGE = (
    b"{}",
    b'{"":null,"__proto__":{}}',
    b'{"a":"\\u0000\\u001f\\b\\"\\\\/"}',
    '{"e\u0301":"e\u0301","\u00e9":"\u00e9","\u212b":"\ufb01"}'.encode(),
    '{"\U0001f600":1,"\ufb33":2}'.encode(),
    '{"a":"\u007f\u200b\u202e\u2028\ufeff\ufffd\uffff\U0010ffff"}'.encode(),
    b'{"a":9007199254740991,"b":-9007199254740991,"c":"9007199254740993"}',
    b'{"kind":"budget.opened","plan_id":"p-2","seq":7}',
    b'{"a":' * _DEPTH + b"1" + b"}" * _DEPTH,
    b'{"a":' + b"[" * (_DEPTH - 1) + b"]" * (_DEPTH - 1) + b"}",
    b'{"a":"' + b"x" * 65_528 + b'"}',
)
_TIMES = (
    _TS,
    "9999-12-31T23:59:59.999999Z",
    "0001-01-01T00:00:00.000000Z",
    "2026-01-02T03:04:05.000005Z",
    "1969-12-31T23:59:59.999999Z",
)


@case()
async def a_bad_body_is_refused_by_its_rule(target: Target) -> None:
    """A body that is no strict JSON object is `EVENT_BODY_INVALID`, which names the rule it breaks (I-52, I-86)."""
    plan_id = target.fresh("plan")
    sent = [(rule, body) for rule, bodies in _BAD.items() for body in bodies]
    items = [_item(plan_id, f"bad/{at}", body) for at, (_, body) in enumerate(sent)]
    *answered, good = await _append(target, *items, _item(plan_id, "good", b"{}"))
    for (rule, body), answer in zip(sent, answered, strict=True):
        error = refused(answer, Invalid, "EVENT_BODY_INVALID")
        assert (error.metadata["field"], error.metadata["rule"]) == ("body", rule), f"{body[:40]!r}: {error!r}"
    assert isinstance(good, Appended)
    assert [each.event_id for each in await _stored(target, plan_id)] == ["good"]


@case()
async def a_strange_body_is_kept_as_it_is(target: Target) -> None:
    """What is canonical is kept byte for byte, in whatever form its characters are, and verifies (I-48, I-162)."""
    plan_id = target.fresh("plan")
    unwrapped(await _append(target, *(_item(plan_id, f"e/{at}", body) for at, body in enumerate(_STRANGE))))
    for body, event in zip(_STRANGE, await _stored(target, plan_id), strict=True):
        assert event.preimage.startswith(b'{"body":%s,"event_id":' % body), f"{body[:40]!r} was changed"
    assert await LedgerClient(target.channel()).verify_plan(plan_id) == []


@case()
async def a_clock_that_is_wrong_orders_nothing(target: Target) -> None:
    """Any time of the years 1 to 9999 is kept as it is stated; events stand where they were appended (I-163)."""
    plan_id, ledger = target.fresh("plan"), LedgerClient(target.channel())
    unwrapped(await _append(target, *(_item(plan_id, f"e/{at}", b"{}", ts) for at, ts in enumerate(_TIMES))))
    assert [each.ts for each in await _stored(target, plan_id)] == list(_TIMES)
    begin, end = parse_rfc3339(min(_TIMES)), parse_rfc3339(max(_TIMES))
    found = [event.ts async for page in ledger.events(plan_id, begin=begin, end=end) for event in page.events]
    assert found == [ts for ts in _TIMES if ts != max(_TIMES)]
    assert await ledger.verify_plan(plan_id) == []


def _item(plan_id: str, event_id: str, body: bytes, ts: str = _TS) -> pb.AppendEventsRequest.Item:
    event = event_pb2.NewEvent(event_id=event_id, kind="scratch.kv.changed", ts=ts, body=body)
    return pb.AppendEventsRequest.Item(plan_id=plan_id, event=event)


async def _append(target: Target, *items: pb.AppendEventsRequest.Item) -> list[Appended | TheoryError]:
    stub = LedgerServiceStub(target.channel(Role.RESOURCES))
    response = await call(stub.AppendEvents, pb.AppendEventsRequest(items=items))
    return list(answers(response.results, lambda each: Appended(each.seq, each.this_hash)))


async def _stored(target: Target, plan_id: str) -> list[event_pb2.Event]:
    stub = LedgerServiceStub(target.channel())
    return list((await call(stub.ListEvents, pb.ListEventsRequest(plan_id=plan_id, page_size=1000))).events)
