"""Pins, marks and dropped worlds in the memory of this process: plain mappings, and how to take a change back."""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import TypeVar

from services.artifacts.ports import DroppedWorld, Mark, Pin, PinKind, StoredBlob
from theory.core.cid import Cid

_K = TypeVar("_K")
_V = TypeVar("_V")


class MemoryRetention:
    """That part of a `BindingTransaction`. What was written is taken back by the journal, last step first."""

    def __init__(self) -> None:
        self._journal: list[Callable[[], None]] = []
        self.pins: dict[Pin, None] = {}
        self._marks: dict[Cid, Mark] = {}
        self._dropped: dict[str, DroppedWorld] = {}
        self._notes: dict[str, str] = {}

    def pinned(self, holder: str, cids: Collection[Cid]) -> set[Cid]:
        return {pin.cid for pin in self.pins if pin.holder == holder}.intersection(cids)

    def marked(self) -> bool:
        return bool(self._marks)

    def marks(self, cids: Collection[Cid]) -> Mapping[Cid, Mark]:
        return {cid: self._marks[cid] for cid in cids if cid in self._marks}

    def due(self, before: datetime, limit: int) -> Mapping[Cid, Mark]:
        found = [(cid, mark) for cid, mark in self._marks.items() if mark.time < before and not mark.deleting]
        return dict(sorted(found, key=lambda each: (each[1].time, each[0].text))[:limit])

    def deleting(self, limit: int) -> Mapping[Cid, Mark]:
        found = sorted((each for each in self._marks.items() if each[1].deleting), key=lambda each: each[0].text)
        return dict(found[:limit])

    def dropped(self, worlds: Collection[str]) -> Mapping[str, DroppedWorld]:
        return {world: self._dropped[world] for world in worlds if world in self._dropped}

    def dropping(self) -> list[DroppedWorld]:
        return sorted(each for each in self._dropped.values() if not each.done)

    def noted(self, name: str) -> str | None:
        return self._notes.get(name)

    def pin(self, pins: Collection[Pin]) -> None:
        self._put_pins(pins, kept=True)

    def unpin(self, holders: Collection[str], kind: PinKind) -> None:
        self._put_pins([pin for pin in self.pins if pin.holder in holders and pin.kind is kind], kept=False)

    def mark(self, blobs: Collection[StoredBlob], time: datetime) -> None:
        for blob in blobs:
            if blob.cid not in self._marks:
                self._put(self._marks, blob.cid, Mark(time, blob.size_bytes, deleting=False))

    def unmark(self, cids: Collection[Cid]) -> None:
        for cid in cids:
            self._put(self._marks, cid, None)

    def condemn(self, cids: Collection[Cid]) -> None:
        for cid, mark in self.marks(cids).items():
            self._put(self._marks, cid, mark._replace(deleting=True))

    def drop(self, world: DroppedWorld) -> None:
        self._put(self._dropped, world.world, world)

    def note(self, name: str, text: str) -> None:
        self._put(self._notes, name, text)

    def _put_pins(self, pins: Iterable[Pin], *, kept: bool) -> None:
        for pin in pins:
            self._put(self.pins, pin, None, kept=kept)

    def _put(self, mapping: dict[_K, _V], key: _K, value: _V | None, *, kept: bool | None = None) -> None:
        """Set a value, or take it away where it is None and nothing else is said."""
        there, before = key in mapping, mapping.get(key)
        self._journal.append(lambda: _restore(mapping, key, before, there=there))
        _restore(mapping, key, value, there=value is not None if kept is None else kept)


def _restore(mapping: dict[_K, _V], key: _K, value: _V | None, *, there: bool) -> None:
    if there:
        mapping[key] = value  # type: ignore[assignment]  # None is a value of the mapping of pins alone
    else:
        mapping.pop(key, None)
