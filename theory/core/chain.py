"""The chain of events: how one is sealed to its predecessor, and how anyone verifies a stretch of them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Self, cast

from blake3 import blake3

from theory.core import jcs
from theory.core.errors import Corrupt, Invalid, TheoryError, shown
from theory.core.jcs import JSON

GENESIS = "0" * 64
"""What the first event of a chain has for `prev_hash`."""
FIRST_SEQ = 1
"""The number of the first event: an empty chain has the head (0, GENESIS)."""
EVENT_CONTEXT = "theory/v1/event"
MAX_BODY_BYTES = 64 * 1024

_KIND = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)+").fullmatch
_MAX_KIND_CHARACTERS = 64
_EVENT_ID = re.compile(r"[A-Za-z0-9._:/@-]{1,128}").fullmatch
_TS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII).fullmatch
_MAX_CHAIN_CHARACTERS = 64
_CHAIN = re.compile(r"[a-z0-9][a-z0-9-]{0,63}|system\.[a-z][a-z0-9-]{0,39}").fullmatch


def system_chain(service: str) -> str:
    """The chain of what `service` does outside plans; no plan id looks like it."""
    return f"system.{service}"


@dataclass(frozen=True, slots=True)
class NewEvent:
    """Something that happened, before the ledger gave it a place. A repeated `event_id` is the same event."""

    event_id: str
    kind: str
    ts: str
    body: Mapping[str, JSON]
    text: bytes | None = field(default=None, init=False, compare=False, repr=False)
    """The canonical text of `body` where it was read from that, so that nobody writes it again; never of a copy."""

    @classmethod
    def read(cls, event_id: str, kind: str, ts: str, body: bytes) -> Self:
        """The event with the body that this text spells; `Invalid` (`EVENT_BODY_INVALID`) where it spells none."""
        if (known := jcs.already_canonical(body, max_bytes=MAX_BODY_BYTES, floats=False, within=1)) is not None:
            event = cls(event_id, kind, ts, known)
            object.__setattr__(event, "text", body)
            return event
        try:
            return cls(event_id, kind, ts, jcs.parse_object(body, max_bytes=_MAX_TEXT_BYTES))
        except TheoryError as error:
            raise body_refused(error) from error


# What is not canonical yet may be longer than its canonical form.
_MAX_TEXT_BYTES = 4 * MAX_BODY_BYTES


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, in its place. `preimage` holds the bytes that were hashed: kept, never remade.

    Of a pruned event they are gone, and with them its `event_id` and what `body` said.
    """

    plan_id: str
    seq: int
    event_id: str
    kind: str
    ts: str
    body: Mapping[str, JSON]
    prev_hash: str
    this_hash: str
    preimage: bytes
    log_index: int | None = None
    """Which leaf of the ledger's Merkle tree it is; None where nobody said. Not hashed: the tree itself shows it."""

    @property
    def pruned(self) -> bool:
        """Whether what it said was dropped; its place and its hash stay."""
        return not self.preimage


@dataclass(frozen=True, slots=True)
class ChainFault:
    """One thing that is wrong with a chain. `what` is a word of `verify_chain`'s documentation."""

    plan_id: str
    seq: int
    what: str


def seal(new: NewEvent, plan_id: str, seq: int, prev_hash: str) -> Event:
    """Give `new` its place: the preimage is the JCS of all fields but `this_hash`, which is its BLAKE3.

    `Invalid`: `EVENT_KIND_INVALID`, `EVENT_ID_INVALID`, `TIME_INVALID`, `ID_INVALID`, and as `body_text`. `seq` and
    `prev_hash` are the ledger's own.
    """
    preimage = preimage_of(new, plan_id, seq, prev_hash)
    return Event(
        plan_id=plan_id,
        seq=seq,
        event_id=new.event_id,
        kind=new.kind,
        ts=new.ts,
        body=new.body,
        prev_hash=prev_hash,
        this_hash=event_hash_of(preimage),
        preimage=preimage,
    )


def preimage_of(new: NewEvent, plan_id: str, seq: int, prev_hash: str) -> bytes:
    """What `new` hashes in this place; errors as `seal`."""
    _check(new, plan_id)
    return _preimage(new, plan_id, seq, prev_hash, body_text(new.body) if new.text is None else new.text)


def body_text(body: Mapping[str, JSON]) -> bytes:
    """The text of a body as it is hashed: canonical JSON, at most 64 KiB.

    `Invalid` (`EVENT_BODY_INVALID`) with `at` and `rule` for a body with a float or what JSON has no word for, one that
    is too long or no object, and one that nests so deep that its event could not be read again.
    """
    if not isinstance(body, Mapping):
        raise _body_invalid("a body is an object", "$", "object")
    try:
        text = jcs.canonical(body if type(body) is dict else dict(body), floats=False, within=1)
    except TheoryError as error:
        raise body_refused(error) from error
    if len(text) > MAX_BODY_BYTES:
        raise _body_invalid(f"a body has at most {MAX_BODY_BYTES} bytes, not {len(text)}", "$", "size")
    return text


def body_refused(error: TheoryError) -> Invalid:
    """What `theory.core.jcs` says of a body, as the ledger says it."""
    return _body_invalid(error.message, error.metadata["at"], error.metadata["rule"])


def _body_invalid(sentence: str, at: str, rule: str) -> Invalid:
    return Invalid("EVENT_BODY_INVALID", sentence, field="body", at=at, rule=rule)


def verify_chain(
    events: Iterable[Event],
    *,
    plan_id: str,
    head: tuple[int, str] | None,
    start: tuple[int, str] = (FIRST_SEQ - 1, GENESIS),
) -> list[ChainFault]:
    """Everything that is wrong with the events of `plan_id` behind `start`; only stored bytes are ever hashed.

    `head` is the (seq, this_hash) that the chain must end with; None where that is not known. Faults are:
    `HASH` (the stored bytes do not have this hash), `TEXT` (they are no canonical JSON), `FIELDS` (the fields beside
    them say something else), `CHAIN` (an event of another chain), `SEQ` (a gap, a repeat or a step back), `LINK`
    (`prev_hash` is not the hash before), `HEAD` (the end is not `head`). A pruned event has nothing to hash: whether it
    may be one is a question for `theory.core.pruning`.
    """
    faults: list[ChainFault] = []
    seq, link = start
    for event in events:
        found = _faults_within(event)
        if event.plan_id != plan_id:
            found.append("CHAIN")
        if event.seq != seq + 1:
            found.append("SEQ")
        if event.prev_hash != link:
            found.append("LINK")
        faults += (ChainFault(plan_id, event.seq, what) for what in found)
        seq, link = event.seq, event.this_hash
    if head is not None and head != (seq, link):
        faults.append(ChainFault(plan_id, head[0], "HEAD"))
    return faults


def unseal(preimage: bytes, this_hash: str) -> Event:
    """The event that stored bytes spell, `this_hash` taken as it is: `verify_chain` compares the two.

    `Corrupt` (`VERIFICATION_FAILED`) where the bytes are not JSON of exactly an event's fields.
    """
    try:
        stored = jcs.parse_object(preimage)
    except TheoryError as error:
        raise Corrupt("VERIFICATION_FAILED", f"stored bytes are no event: {error.message}", what="TEXT") from error
    if {name: type(value) for name, value in stored.items()} != _TYPE_BY_FIELD:
        raise Corrupt("VERIFICATION_FAILED", "stored bytes have other fields than an event", what="FIELDS")
    return Event(**cast("dict[str, Any]", stored), this_hash=this_hash, preimage=preimage)


_TYPE_BY_FIELD = {
    "body": dict,
    "event_id": str,
    "kind": str,
    "plan_id": str,
    "prev_hash": str,
    "seq": int,
    "ts": str,
}


def _faults_within(event: Event) -> list[str]:
    if event.pruned:
        return []
    found = [] if event_hash_of(event.preimage) == event.this_hash else ["HASH"]
    try:
        # Fields with quotes in them could spell the bytes of other fields.
        _check(event, event.plan_id)
        body = jcs.canonical(dict(event.body), floats=False)
        if _preimage(event, event.plan_id, event.seq, event.prev_hash, body) == event.preimage:
            return found
    except TheoryError:
        # What the fields say has no canonical text, so the bytes say something else.
        return [*found, "FIELDS"]
    try:
        # Text that is not canonical could read differently elsewhere: a key that occurs twice, for one.
        canonical = jcs.canonical(jcs.parse(event.preimage), floats=False) == event.preimage
    except TheoryError:
        canonical = False
    return [*found, "FIELDS" if canonical else "TEXT"]


def _preimage(event: NewEvent | Event, plan_id: str, seq: int, prev_hash: str, body: bytes) -> bytes:
    # Keys in JCS order around values whose grammar needs no escapes: the body is written once, not twice.
    fields = f',"event_id":"{event.event_id}","kind":"{event.kind}","plan_id":"{plan_id}"'
    place = f',"prev_hash":"{prev_hash}","seq":{seq},"ts":"{event.ts}"}}'
    return b'{"body":' + body + fields.encode() + place.encode()


def event_hash_of(preimage: bytes) -> str:
    """The `this_hash` of the event that these bytes are: their BLAKE3 in the events' own context."""
    return blake3(preimage, derive_key_context=EVENT_CONTEXT).hexdigest()


def is_kind(text: str) -> bool:
    """Whether it is written like `scratch.kv.changed`, in at most 64 characters."""
    return len(text) <= _MAX_KIND_CHARACTERS and _is_kind(text)


def is_event_id(text: str) -> bool:
    """Whether it has 1 to 128 of A-Z a-z 0-9 . _ : / @ -."""
    return _EVENT_ID(text) is not None


def is_chain(text: str) -> bool:
    """Whether it is a plan's id, or `system.<service>`."""
    return len(text) <= _MAX_CHAIN_CHARACTERS and _is_chain(text)


# Of kinds and chains there are few, and each event names one; what is too long to be either is not remembered.
@lru_cache(maxsize=1024)
def _is_kind(text: str) -> bool:
    return _KIND(text) is not None


@lru_cache(maxsize=1024)
def _is_chain(text: str) -> bool:
    return _CHAIN(text) is not None


def _check(event: NewEvent | Event, plan_id: str) -> None:
    if not is_kind(event.kind):
        message = f"a kind is lowercase words joined by dots, at most {_MAX_KIND_CHARACTERS} characters"
        raise Invalid("EVENT_KIND_INVALID", message, value=shown(event.kind))
    if not is_event_id(event.event_id):
        message = "an event id has 1 to 128 characters of A-Z, a-z, 0-9 and . _ : / @ -"
        raise Invalid("EVENT_ID_INVALID", message, value=shown(event.event_id))
    if _TS(event.ts) is None:
        raise Invalid("TIME_INVALID", "an event's time is written 2026-01-02T03:04:05.000006Z", value=shown(event.ts))
    if not is_chain(plan_id):
        raise Invalid(
            "ID_INVALID", "a chain has the id of a plan, or is system.<service>", field="plan_id", value=shown(plan_id)
        )
