"""The chain: sealing, reading back, and finding everything that was tampered with."""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from blake3 import blake3

from tests.unit.theory.core.refusal import refused
from tests.vectors import make_events, make_hashes
from theory.core import chain, jcs
from theory.core.chain import GENESIS, Event, NewEvent, seal, system_chain, unseal, verify_chain
from theory.core.errors import Corrupt, Invalid
from theory.core.jcs import JSON

TS = "2026-01-02T03:04:05.000006Z"


def _new(number: int = 1, body: Mapping[str, JSON] | None = None) -> NewEvent:
    return NewEvent(
        f"e-{number}", "artifact.written", TS, {"path": "/artifacts/é", "n": number} if body is None else body
    )


def _chain(length: int, plan_id: str = "p-1") -> list[Event]:
    events: list[Event] = []
    for seq in range(1, length + 1):
        events.append(seal(_new(seq), plan_id, seq, events[-1].this_hash if events else GENESIS))
    return events


def _whats(events: Iterable[Event], head: tuple[int, str] | None = None, plan_id: str = "p-1") -> list[tuple[int, str]]:
    return [(fault.seq, fault.what) for fault in verify_chain(events, plan_id=plan_id, head=head)]


def _rehashed(event: Event, **changes: object) -> Event:
    """The event with other stored bytes, consistent with its hash."""
    preimage = jcs.canonical({**jcs.parse_object(event.preimage), **changes})
    return dataclasses.replace(event, preimage=preimage, this_hash=chain.event_hash_of(preimage))


def test_the_preimage_is_the_canonical_json_of_all_fields_but_the_hash() -> None:
    event = seal(_new(), "p-1", 7, "a" * 64)
    document = {
        "kind": "artifact.written",
        "ts": TS,
        "plan_id": "p-1",
        "seq": 7,
        "prev_hash": "a" * 64,
        "event_id": "e-1",
        "body": {"path": "/artifacts/é", "n": 1},
    }
    assert event.preimage == jcs.canonical(document)
    assert event.this_hash == blake3(event.preimage, derive_key_context="theory/v1/event").hexdigest()


def test_a_known_event_has_a_known_hash() -> None:
    event = seal(NewEvent("e-1", "plan.submitted", TS, {}), "p-1", 1, GENESIS)
    assert event.this_hash == "5906b4b4298d85b7d8fc7466968ccbaa60784682824df994f190eb969cdb07f6"


def test_the_hash_is_of_events_alone() -> None:
    event = seal(_new(), "p-1", 1, GENESIS)
    assert event.this_hash != blake3(event.preimage).hexdigest()
    assert event.this_hash != blake3(event.preimage, derive_key_context="theory/v1/receipt").hexdigest()


@pytest.mark.parametrize("plan_id", ["p-1", "0", system_chain("artifacts"), "system.ledger"])
def test_plans_and_services_have_chains(plan_id: str) -> None:
    assert seal(_new(), plan_id, 1, GENESIS).plan_id == plan_id


@pytest.mark.parametrize("plan_id", ["", "P", "a.b", "system.", "system.A", "p 1", 'p","seq":"'])
def test_what_is_no_chain_is_refused(plan_id: str) -> None:
    with refused(Invalid, "ID_INVALID", field="plan_id", value=plan_id):
        seal(_new(), plan_id, 1, GENESIS)


@pytest.mark.parametrize("kind", ["", "plan", "Plan.x", "plan.", ".plan", "plan..x", "a b.c", "1.a", "a." + "b" * 63])
def test_what_is_no_kind_is_refused(kind: str) -> None:
    with refused(Invalid, "EVENT_KIND_INVALID", value=kind):
        seal(dataclasses.replace(_new(), kind=kind), "p-1", 1, GENESIS)


@pytest.mark.parametrize("event_id", ["", "a b", 'a"b', "a\\b", "é", "a" * 129, "a\n"])
def test_what_is_no_event_id_is_refused(event_id: str) -> None:
    with refused(Invalid, "EVENT_ID_INVALID"):
        seal(dataclasses.replace(_new(), event_id=event_id), "p-1", 1, GENESIS)


@pytest.mark.parametrize("ts", ["", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000006+00:00", TS + "\n", "now"])
def test_what_is_no_time_is_refused(ts: str) -> None:
    with refused(Invalid, "TIME_INVALID", value=ts):
        seal(dataclasses.replace(_new(), ts=ts), "p-1", 1, GENESIS)


@pytest.mark.parametrize(
    ("body", "at", "rule"),
    [
        ({"a": 0.5}, "$.a", "float"),
        ({"a": [1.0]}, "$.a[0]", "float"),
        ({"a": float("nan")}, "$.a", "finite"),
        ({"a": 2**53}, "$.a", "safe_integer"),
        ({"a": -(2**53)}, "$.a", "safe_integer"),
        ({"a": 2**63}, "$.a", "safe_integer"),
        ({"a": 10**5_000}, "$.a", "safe_integer"),
        ({"a": b""}, "$.a", "type"),
        ({"a": Decimal(1)}, "$.a", "type"),
        ({"a": datetime(2026, 1, 1, tzinfo=UTC)}, "$.a", "type"),
        ({"a": {1}}, "$.a", "type"),
        ({1: "a"}, "$", "key"),
        ({"a": "\ud800"}, "$.a", "surrogate"),
        ({"\udc00": 1}, "$", "surrogate"),
        ([("a", 1)], "$", "object"),
        ("a", "$", "object"),
        (None, "$", "object"),
    ],
)
def test_a_body_that_is_not_exact_json_is_refused_by_its_rule(body: Any, at: str, rule: str) -> None:
    with refused(Invalid, "EVENT_BODY_INVALID", field="body", at=at, rule=rule):
        seal(dataclasses.replace(_new(), body=body), "p-1", 1, GENESIS)


def test_a_body_that_holds_itself_is_refused() -> None:
    body: dict[str, Any] = {}
    body["a"] = body
    with refused(Invalid, "EVENT_BODY_INVALID", rule="depth"):
        seal(_new(body=body), "p-1", 1, GENESIS)


def test_an_event_nests_as_deep_as_what_reads_it() -> None:
    deep: Any = 1
    for _ in range(jcs.MAX_DEPTH - 1):
        deep = {"a": deep}
    event = seal(_new(body=deep), "p-1", 1, GENESIS)
    assert unseal(event.preimage, event.this_hash) == event
    assert _whats([event]) == []
    with refused(Invalid, "EVENT_BODY_INVALID", rule="depth"):
        seal(_new(body={"a": deep}), "p-1", 1, GENESIS)


def test_a_body_has_at_most_64_kib() -> None:
    room = chain.MAX_BODY_BYTES - len('{"a":""}')
    seal(_new(body={"a": "x" * room}), "p-1", 1, GENESIS)
    with refused(Invalid, "EVENT_BODY_INVALID", at="$", rule="size"):
        seal(_new(body={"a": "x" * (room + 1)}), "p-1", 1, GENESIS)


def test_a_body_may_be_any_mapping() -> None:
    assert seal(_new(body=_Body()), "p-1", 1, GENESIS).preimage.startswith(b'{"body":{"a":1},')


@pytest.mark.parametrize("text", [b"{}", b'{"a":1,"b":[true,null,"\xc3\xa9"]}', b'{"a":{"b":-5}}'])
def test_a_body_in_canonical_text_is_hashed_as_it_was_read(text: bytes) -> None:
    event = NewEvent.read("e-1", "plan.submitted", TS, text)
    assert event.text == text
    written = NewEvent("e-1", "plan.submitted", TS, json.loads(text))
    assert event == written
    assert seal(event, "p-1", 1, GENESIS) == seal(written, "p-1", 1, GENESIS)


@pytest.mark.parametrize("text", [b'{"b":1,"a":2}', b'{"a": 1}', b'{"a":"\\u00e9"}', '{"é":1}'.encode()])
def test_a_body_in_other_text_is_written_again(text: bytes) -> None:
    event = NewEvent.read("e-1", "plan.submitted", TS, text)
    assert event.text is None
    assert chain.preimage_of(event, "p-1", 1, GENESIS).startswith(b'{"body":' + jcs.canonical(json.loads(text)))


def test_a_copy_with_another_body_is_not_hashed_with_the_text_of_the_first() -> None:
    event = dataclasses.replace(NewEvent.read("e-1", "plan.submitted", TS, b'{"a":1}'), body={"a": 2})
    assert chain.preimage_of(event, "p-1", 1, GENESIS).startswith(b'{"body":{"a":2},')


@pytest.mark.parametrize(
    ("text", "at", "rule"),
    [
        (b'{"a":1', "line 1 column 7", "syntax"),
        (b'{"a":1,"a":1}', "$..a", "duplicate_key"),
        (b"[]", "$", "object"),
        (b'{"a":9007199254740993}', "9007199254740993", "safe_integer"),
        (b'{"a":"' + b"x" * 4 * chain.MAX_BODY_BYTES + b'"}', "$", "size"),
    ],
)
def test_a_text_that_is_no_body_is_refused_by_its_rule(text: bytes, at: str, rule: str) -> None:
    with refused(Invalid, "EVENT_BODY_INVALID", field="body", at=at, rule=rule):
        NewEvent.read("e-1", "plan.submitted", TS, text)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (b'{"a":0.5}', "float"),
        (b'{"a":' * jcs.MAX_DEPTH + b"1" + b"}" * jcs.MAX_DEPTH, "depth"),
        (b'{"a":"' + b"x" * chain.MAX_BODY_BYTES + b'"}', "size"),
    ],
)
def test_a_text_that_is_json_and_no_body_of_an_event_is_refused_when_it_is_sealed(text: bytes, rule: str) -> None:
    event = NewEvent.read("e-1", "plan.submitted", TS, text)
    with refused(Invalid, "EVENT_BODY_INVALID", rule=rule):
        seal(event, "p-1", 1, GENESIS)


class _Body(Mapping[str, JSON]):
    def __getitem__(self, key: str) -> JSON:
        return {"a": 1}[key]

    def __iter__(self):  # type: ignore[no-untyped-def]  # noqa: ANN204
        return iter(["a"])

    def __len__(self) -> int:
        return 1


def test_stored_bytes_give_the_event_back() -> None:
    for event in _chain(3):
        assert unseal(event.preimage, event.this_hash) == event


@pytest.mark.parametrize(
    ("preimage", "what"),
    [
        (b"", "TEXT"),
        (b"[]", "TEXT"),
        (b'{"a":1,"a":1}', "TEXT"),
        (b"{}", "FIELDS"),
        (b'{"body":{},"event_id":"e","kind":"a.b","plan_id":"p","prev_hash":"0","seq":true,"ts":"t"}', "FIELDS"),
        (b'{"body":{},"event_id":"e","kind":"a.b","plan_id":"p","prev_hash":"0","seq":1,"ts":"t","x":1}', "FIELDS"),
        (b'{"body":[],"event_id":"e","kind":"a.b","plan_id":"p","prev_hash":"0","seq":1,"ts":"t"}', "FIELDS"),
    ],
)
def test_bytes_that_are_no_event_are_corrupt(preimage: bytes, what: str) -> None:
    with refused(Corrupt, "VERIFICATION_FAILED", what=what):
        unseal(preimage, GENESIS)


def test_a_sound_chain_has_no_faults() -> None:
    events = _chain(5)
    assert _whats(events) == []
    assert _whats(events, head=(5, events[-1].this_hash)) == []
    assert _whats([], head=(0, GENESIS)) == []


def test_a_stretch_is_verified_from_where_one_stopped() -> None:
    events = _chain(5)
    start = (2, events[1].this_hash)
    assert verify_chain(events[2:], plan_id="p-1", head=(5, events[-1].this_hash), start=start) == []
    faults = verify_chain(events[3:], plan_id="p-1", head=None, start=start)
    assert [(each.seq, each.what) for each in faults] == [(4, "SEQ"), (4, "LINK")]


def test_a_missing_end_is_found_by_the_head_alone() -> None:
    events = _chain(5)
    assert _whats(events[:-1]) == []
    assert _whats(events[:-1], head=(5, events[-1].this_hash)) == [(5, "HEAD")]
    assert _whats(events, head=(5, GENESIS)) == [(5, "HEAD")]
    assert _whats([], head=(5, events[-1].this_hash)) == [(5, "HEAD")]


def test_missing_repeated_and_swapped_events_are_found() -> None:
    events = _chain(4)
    assert _whats([events[0], *events[2:]]) == [(3, "SEQ"), (3, "LINK")]
    assert _whats(events[1:]) == [(2, "SEQ"), (2, "LINK")]
    assert _whats([events[0], events[0], *events[1:]]) == [(1, "SEQ"), (1, "LINK")]
    assert {what for _, what in _whats([events[1], events[0]])} == {"SEQ", "LINK"}


def test_an_event_of_another_chain_is_found() -> None:
    assert _whats(_chain(1, plan_id="p-2")) == [(1, "CHAIN")]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event_id", "e-2"),
        ("kind", "artifact.other"),
        ("ts", "2026-01-02T03:04:05.000007Z"),
        ("body", {"path": "/artifacts/é", "n": 2}),
        ("body", {"path": "/artifacts/é", "n": True}),
        ("body", {"path": "/artifacts/é", "n": 1.0}),
        ("kind", "no kind"),
        ("event_id", 'e-1","kind":"a.b'),
    ],
)
def test_a_field_that_says_something_else_than_the_bytes_is_found(field: str, value: object) -> None:
    event = dataclasses.replace(_chain(1)[0], **{field: value})  # type: ignore[arg-type]
    assert _whats([event]) == [(1, "FIELDS")]


def test_a_changed_seq_or_link_is_found_twice() -> None:
    event = _chain(1)[0]
    assert _whats([dataclasses.replace(event, seq=2)]) == [(2, "FIELDS"), (2, "SEQ")]
    assert _whats([dataclasses.replace(event, prev_hash="f" * 64)]) == [(1, "FIELDS"), (1, "LINK")]
    assert _whats([dataclasses.replace(event, plan_id="p-2")]) == [(1, "FIELDS"), (1, "CHAIN")]


def test_a_rewritten_event_breaks_the_link_of_the_next() -> None:
    events = _chain(3)
    forged = seal(_new(9), "p-1", 2, events[0].this_hash)
    assert _whats([events[0], forged, events[2]]) == [(3, "LINK")]
    assert _whats([events[0], forged], head=(2, events[1].this_hash)) == [(2, "HEAD")]


def test_bytes_that_hash_but_say_something_else_are_found() -> None:
    event = _chain(1)[0]
    assert _whats([_rehashed(event, kind="other.kind")]) == [(1, "FIELDS")]
    assert _whats([_rehashed(event, seq=True)]) == [(1, "FIELDS")]
    assert _whats([_rehashed(event, extra=1)]) == [(1, "FIELDS")]


@pytest.mark.parametrize(
    "text",
    [
        b'{"body":{},"event_id":"e-1","kind":"a.b","kind":"c.d","plan_id":"p-1","seq":1}',
        b'{"kind":"a.b","body":{}}',
        b"{ }",
        b"not json",
        b'{"a":1.0}',
    ],
)
def test_bytes_that_hash_but_are_not_canonical_are_found(text: bytes) -> None:
    event = dataclasses.replace(_chain(1)[0], preimage=text, this_hash=chain.event_hash_of(text))
    assert _whats([event]) == [(1, "TEXT")]


def test_fields_with_quotes_cannot_pose_as_the_bytes_of_others() -> None:
    plain = seal(_new(body={}), "p-1", 1, GENESIS)
    # Two keys `kind`: some readers take the first, some the last.
    text = plain.preimage.replace(b'"kind":', b'"kind":"z.z","kind":')
    event = dataclasses.replace(plain, event_id='e-1","kind":"z.z', preimage=text, this_hash=chain.event_hash_of(text))
    assert (1, "FIELDS") in _whats([event])


def test_every_flipped_bit_of_what_is_stored_is_found() -> None:
    event = _chain(1)[0]
    for at in range(len(event.preimage)):
        for bit in range(8):
            flipped = bytearray(event.preimage)
            flipped[at] ^= 1 << bit
            assert _whats([dataclasses.replace(event, preimage=bytes(flipped))]) != []


@pytest.mark.parametrize("field", ["plan_id", "event_id", "kind", "ts", "prev_hash", "this_hash"])
def test_every_changed_character_of_a_field_is_found(field: str) -> None:
    events = _chain(2)
    text: str = getattr(events[0], field)
    for at, character in enumerate(text):
        other = "0" if character != "0" else "1"
        forged = dataclasses.replace(events[0], **{field: text[:at] + other + text[at + 1 :]})  # type: ignore[arg-type]
        assert _whats([forged, events[1]]) != []


def test_the_published_vectors_hold() -> None:
    text = make_hashes.FILE.read_text("ascii")
    assert text == make_hashes.text()
    events = []
    for vector in json.loads(text)["events"]["chain"]:
        new = NewEvent(vector["event_id"], vector["kind"], vector["ts"], vector["body"])
        events.append(seal(new, vector["plan_id"], vector["seq"], vector["prev_hash"]))
        assert (events[-1].preimage.decode(), events[-1].this_hash) == (vector["preimage"], vector["this_hash"])
    assert len(events) == 3
    assert _whats(events) == []


def test_the_published_events_are_taken_and_refused() -> None:
    text = make_events.FILE.read_text("ascii")
    assert text == make_events.text()
    vectors = json.loads(text)
    place: dict[str, Any] = vectors["place"]
    for vector in vectors["bodies"]:
        rule, event = _taken(make_events.bytes_in(vector["body"]), vectors["limits"]["text_bytes"], place)
        assert rule == vector.get("rule"), vector["name"]
        if "text" in vector["body"]:  # what is read as text obeys the same rules
            assert _taken(vector["body"]["text"], vectors["limits"]["text_bytes"], place) == (rule, event)
        if event is not None:
            assert event.preimage.startswith(b'{"body":%s,"event_id"' % make_events.bytes_in(vector["kept"]))
            assert event.this_hash == vector["this_hash"], vector["name"]
            assert unseal(event.preimage, event.this_hash) == event
            assert _whats([event]) == []


def _taken(body: bytes | str, max_bytes: int, place: Mapping[str, Any]) -> tuple[str | None, Event | None]:
    """The rule that a body breaks, or the event that has it."""
    try:
        parsed = jcs.parse_object(body, max_bytes=max_bytes)
        new = NewEvent(place["event_id"], place["kind"], place["ts"], parsed)
        return None, seal(new, place["plan_id"], place["seq"], place["prev_hash"])
    except Invalid as error:
        return error.metadata["rule"], None
