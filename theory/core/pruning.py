"""Pruned events: which may lose what they said, how the ledger records it, and how anyone checks that record.

An event of kind `ledger.pruned` stands behind what it pruned, in the same chain:

| field | holds |
|---|---|
| `after_seq`, `to_seq` | between which positions; the second is included |
| `kinds` | which kinds, and families of kinds such as `scratch.*`, sorted |
| `events`, `bytes` | how many events lost how many bytes |
| `digest` | BLAKE3 of their places and hashes: one line `SEQ THIS_HASH` each, in order |
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable
from typing import NamedTuple

from theory.core.chain import Event
from theory.core.cid import Cid
from theory.core.errors import Invalid, shown
from theory.core.jcs import JSON

KIND = "ledger.pruned"
PRUNABLE = ("execution.started", "scratch.*", "streams.*")
"""Kinds and families of kinds that nothing is proven with."""


class Leftover(NamedTuple):
    """What stays of a pruned event."""

    seq: int
    kind: str
    this_hash: str


def prunable_of(kinds: Collection[str]) -> tuple[str, ...]:
    """These kinds and families of kinds, sorted; all that may be pruned where there are none.

    `Invalid` (`EVENT_KIND_INVALID`) for one that is no part of `PRUNABLE`.
    """
    for each in kinds:
        word = each.removesuffix("*")
        if not (word.count(".") and _matches(word, PRUNABLE)):
            message = f"only {', '.join(PRUNABLE)}, and kinds of these families, are ever pruned"
            raise Invalid("EVENT_KIND_INVALID", message, value=shown(each))
    return tuple(sorted(set(kinds))) or PRUNABLE


def digest_of(pruned: Iterable[Leftover]) -> str:
    """What a record says of the events that it is about, so that no other can be passed off as one of them."""
    return Cid.of("".join(f"{each.seq} {each.this_hash}\n" for each in pruned).encode()).text


def record_of(
    pruned: Collection[Leftover], *, after_seq: int, to_seq: int, kinds: Collection[str], freed_bytes: int
) -> dict[str, JSON]:
    """The body of the event that records a pruning."""
    return {
        "after_seq": after_seq,
        "to_seq": to_seq,
        "kinds": sorted(kinds),
        "events": len(pruned),
        "bytes": freed_bytes,
        "digest": digest_of(pruned),
    }


class Pruned:
    """The pruned events of one chain as they are read, and the records of them, each against the other."""

    def __init__(self) -> None:
        self._open: list[Leftover] = []  # in order
        self._faults: list[int] = []
        self.count = 0

    def read(self, event: Event) -> None:
        """The next event of the chain."""
        if event.pruned:
            self.count += 1
            self._open.append(Leftover(event.seq, event.kind, event.this_hash))
        elif event.kind == KIND and not self._settled_by(event):
            self._faults.append(event.seq)

    def faults(self) -> list[int]:
        """Where a record is not what was pruned, and which pruned events no record stands for."""
        return sorted({*self._faults, *(each.seq for each in self._open)})

    def _settled_by(self, event: Event) -> bool:
        body = event.body
        after, to, kinds = body.get("after_seq"), body.get("to_seq"), body.get("kinds")
        if type(after) is not int or type(to) is not int or not isinstance(kinds, list) or to >= event.seq:
            return False
        try:
            words = prunable_of([each if isinstance(each, str) else "" for each in kinds])
        except Invalid:
            return False
        # An event is pruned once, by the first record that it falls under.
        first, end = (bisect_right(self._open, seq, key=lambda each: each.seq) for seq in (after, max(after, to)))
        own = [each for each in self._open[first:end] if _matches(each.kind, words)]
        self._open[first:end] = [each for each in self._open[first:end] if not _matches(each.kind, words)]
        return body.get("events") == len(own) and body.get("digest") == digest_of(own)


def _matches(kind: str, words: Collection[str]) -> bool:
    return any(kind.startswith(each[:-1]) if each.endswith("*") else kind == each for each in words)
