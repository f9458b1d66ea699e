"""Why blobs stay and how they leave: pins, marks, dropped worlds, and what attempts may read."""

from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from services.artifacts.ports.blobs import StoredBlob
from theory.core.cid import Cid
from theory.core.ids import ExecutionId
from theory.core.world_path import WorldName


class PinKind(StrEnum):
    """Why a blob is kept that no path names."""

    INPUT = "input"
    """An execution reads it: kept until the world is dropped, so that its receipt can be re-executed."""
    UPLOAD = "upload"
    """An attempt brought it: kept until its execution is committed or aborted."""


class Pin(NamedTuple):
    """A blob that is kept for someone. Four texts: what the table is keyed by."""

    holder: str
    """The execution that it is kept for."""
    world: str
    """The world whose end is the pin's end."""
    cid: Cid
    kind: PinKind


class Mark(NamedTuple):
    """A blob that nothing referred to when it was looked at, and that goes unless somebody wants it."""

    time: datetime
    """Since when."""
    size_bytes: int
    deleting: bool
    """Whether its bytes are being removed: then nobody may rely on it any more."""


class DroppedWorld(NamedTuple):
    """A world that is gone for ever."""

    world: str
    time: datetime
    """When it was dropped."""
    paths: int
    """How many bound paths went with it, so far."""
    done: bool
    """Whether all of them have gone."""


class RetentionReader(Protocol):
    """What the table remembers of blobs on their way out, and of worlds that are gone."""

    def pinned(self, holder: str, cids: Collection[Cid]) -> set[Cid]:
        """Those of `cids` that are pinned for `holder`, of whichever kind and world."""
        ...

    def referenced(self, cids: Collection[Cid]) -> set[Cid]:
        """Those that are bound, reserved or pinned."""
        ...

    def marked(self) -> bool:
        """Whether any blob is marked. A few microseconds."""
        ...

    def marks(self, cids: Collection[Cid]) -> Mapping[Cid, Mark]:
        """The marks of these blobs; a few microseconds where no blob has one."""
        ...

    def due(self, before: datetime, limit: int) -> Mapping[Cid, Mark]:
        """The oldest marks of before that time whose blobs are not being deleted."""
        ...

    def deleting(self, limit: int) -> Mapping[Cid, Mark]:
        """Blobs that are being deleted, or were when a process ended."""
        ...

    def dropped(self, worlds: Collection[str]) -> Mapping[str, DroppedWorld]:
        """Those of these worlds that are gone."""
        ...

    def dropping(self) -> list[DroppedWorld]:
        """Worlds that are not gone altogether yet."""
        ...

    def reserver(self, world: str) -> ExecutionId | None:
        """An execution that has open reservations in this world, if any has."""
        ...

    def noted(self, name: str) -> str | None:
        """What was last noted under a name."""
        ...


class RetentionTransaction(RetentionReader, Protocol):
    """A `RetentionReader` that also writes."""

    def pin(self, pins: Collection[Pin]) -> None:
        """Keep these blobs, which the caller has seen in the store in this transaction. A pin that is there stays."""
        ...

    def unpin(self, holders: Collection[str], kind: PinKind) -> None:
        """Drop every pin of that kind of these holders. Harmless where there is none."""
        ...

    def mark(self, blobs: Collection[StoredBlob], time: datetime) -> None:
        """Mark blobs that have no mark."""
        ...

    def unmark(self, cids: Collection[Cid]) -> None:
        """Take marks away, deleting or not. Harmless where there is none."""
        ...

    def condemn(self, cids: Collection[Cid]) -> None:
        """Say of marked blobs that they are being deleted."""
        ...

    def drop(self, world: DroppedWorld) -> None:
        """Say that a world is gone, or how far it is gone by now."""
        ...

    def drop_rows(self, world: str, limit: int) -> tuple[int, int]:
        """Forget up to `limit` bound paths of a world, and then as many pins: how many of each it were."""
        ...

    def note(self, name: str, text: str) -> None:
        """Remember a text under a name, in place of the one before."""
        ...


class Input(NamedTuple):
    """One path that an execution's attempt may read, as it was fixed at the dispatch."""

    execution_id: ExecutionId
    epoch: int
    """The attempt's."""
    world: str
    path: str
    cid: Cid


class InputReader(Protocol):
    """What attempts were told that they may read. A part of `BindingReader`, with the same manners."""

    def told(self, execution_ids: Collection[ExecutionId]) -> Mapping[ExecutionId, int]:
        """The epoch to which the inputs belong, of those executions that have any."""
        ...

    def input_paths(self, execution_id: ExecutionId, epoch: int, paths: Collection[str]) -> set[str]:
        """Those of `paths` that are inputs of the execution at exactly that epoch."""
        ...

    def input_page(self, execution_id: ExecutionId, epoch: int, prefix: str, after: str, limit: int) -> list[str]:
        """The first `limit` such paths that begin with `prefix`, a folder, and lie behind `after`, by their bytes."""
        ...

    def readable(self, execution_id: ExecutionId, epoch: int, cids: Collection[Cid]) -> set[Cid]:
        """Those of `cids` that are inputs at that epoch, or pinned as uploads of the execution."""
        ...


class WorldStreams(Protocol):
    """The streams of a world, which lie elsewhere."""

    async def drop(self, world: WorldName) -> int:
        """Remove them all, for ever; how many that were. Idempotent, and to be repeated where it failed."""
        ...
