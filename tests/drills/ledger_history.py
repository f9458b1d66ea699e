"""What clients of a ledger were told while it was killed again and again, and what of that it may not have lost."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from theory.core.chain import Event


class Key(NamedTuple):
    """An event as its emitter knows it."""

    chain: str
    event_id: str


class Place(NamedTuple):
    """Where an event was acknowledged to stand."""

    seq: int
    this_hash: str


@dataclass
class LedgerHistory:
    """What was tried, and what was answered."""

    tried: set[Key] = field(default_factory=set)
    """Every event that was sent, whatever came of it: one without an answer may be stored."""
    acked: dict[Key, Place] = field(default_factory=dict)
    heads: list[Mapping[str, Place]] = field(default_factory=list)
    """Where chains were seen to stand, in the order in which they were looked at."""
    checkpoints: int = 0
    """How many signed states were seen, each of which contained all before it."""
    refused: list[str] = field(default_factory=list)
    """What the log could not prove of those."""

    def faults(self, stored: Collection[Event]) -> list[str]:
        """What the chains, read whole at the end, say otherwise than what was answered."""
        found: list[str] = []
        place_by_key: dict[Key, Place] = {}
        hash_by_place: dict[tuple[str, int], str] = {}
        for event in stored:
            key = Key(event.plan_id, event.event_id)
            if key in place_by_key:
                found.append(f"stored twice: {key}")
            place_by_key[key] = Place(event.seq, event.this_hash)
            hash_by_place[event.plan_id, event.seq] = event.this_hash
            if key not in self.tried:
                found.append(f"stored, and never sent: {key}")
        for key, place in self.acked.items():
            if key not in place_by_key:
                found.append(f"acknowledged, and lost: {key}")
            elif place_by_key[key] != place:
                found.append(f"acknowledged at {place}, stored at {place_by_key[key]}: {key}")
        return found + self.refused + self._moved_heads(hash_by_place) + _gaps(hash_by_place)

    def _moved_heads(self, hash_by_place: Mapping[tuple[str, int], str]) -> list[str]:
        found: list[str] = []
        highest: dict[str, int] = {}
        for heads in self.heads:
            for chain, (seq, this_hash) in heads.items():
                if seq < highest.get(chain, 0):
                    found.append(f"a head went back: {chain} to {seq}")
                highest[chain] = max(seq, highest.get(chain, 0))
                if hash_by_place.get((chain, seq)) != this_hash:
                    found.append(f"a head that was seen is not in the chain: {chain} at {seq}")
        return found


def _gaps(hash_by_place: Mapping[tuple[str, int], str]) -> list[str]:
    found = []
    seqs_by_chain: dict[str, list[int]] = {}
    for chain, seq in sorted(hash_by_place):
        seqs_by_chain.setdefault(chain, []).append(seq)
    for chain, seqs in seqs_by_chain.items():
        if seqs != list(range(1, len(seqs) + 1)):
            found.append(f"a chain has gaps: {chain}")
    return found
