"""The paths and executions that one batch touches: read at once, changed in memory, written back at once.

So a batch costs a handful of statements however many items share it, and a later item sees what an earlier one did.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Self

from services.artifacts.ports import BindingReader, BindingTransaction, Fence, Hold, PathKey, Probe
from theory.core.ids import ExecutionId

Claim = tuple[str, PathKey]
"""Someone who wants a path: an execution, or the empty text for a direct write."""


@lru_cache(maxsize=4096)  # a batch asks several times for each of its paths
def folders_of(key: PathKey) -> tuple[PathKey, ...]:
    """The paths that a file at `key` makes folders: its parent and so on, up to the one below the facet."""
    folders: list[PathKey] = []
    end = key.path.rfind("/")
    while (start := key.path.rfind("/", 0, end)) > 0:
        folders.append(PathKey(key.world, key.path[:end]))
        end = start
    return tuple(folders)


class Holdings:
    """One batch's view of the table of paths."""

    def __init__(
        self, holds: Mapping[PathKey, Hold], fences: Mapping[ExecutionId, Fence], below: Mapping[Probe, Hold]
    ) -> None:
        self._held: dict[PathKey, Hold] = {}
        self._keys_by_owner: dict[str, set[PathKey]] = {}
        for hold in holds.values():
            self._set(hold)
        self._fences = dict(fences)
        self._below = below
        # What this batch took, by the folders that it made: the table does not know of it yet.
        self._made: dict[PathKey, dict[str | None, Hold]] = {}
        self._bound: dict[PathKey, Hold] = {}
        self._reserved: dict[PathKey, Hold] = {}
        self._released: dict[ExecutionId, None] = {}
        self._remembered: dict[ExecutionId, Fence] = {}

    @classmethod
    def of_claims(cls, reader: BindingReader, claims: Iterable[Claim], executions: Iterable[ExecutionId] = ()) -> Self:
        """A view for taking paths: with what is above and below each of them."""
        wanted = list(claims)
        keys = {key: None for _, key in wanted}
        for _, key in wanted:
            keys.update(dict.fromkeys(folders_of(key)))
        below = reader.below([Probe(key, owner) for owner, key in wanted])
        return cls(reader.holds(keys), reader.fences(list(executions)), below)

    @classmethod
    def of_paths(cls, reader: BindingReader, keys: Iterable[PathKey], executions: Iterable[ExecutionId]) -> Self:
        """A view for paths that are held already."""
        return cls(reader.holds(list(keys)), reader.fences(list(executions)), {})

    def at(self, key: PathKey) -> Hold | None:
        """What is taken at exactly this path."""
        return self._held.get(key)

    def shadow(self, key: PathKey, owner: str) -> Hold | None:
        """Someone else's path that would make `key` a folder, or a file inside of a file."""
        for folder in folders_of(key):
            above = self._held.get(folder)
            if above is not None and above.owner != owner:
                return above
        if below := self._below.get(Probe(key, owner)):
            # It may be released by this very batch. Who asks is then told to retry, which is never wrong.
            return below
        return next((hold for who, hold in self._made.get(key, {}).items() if who != owner), None)

    def fence_of(self, execution_id: ExecutionId) -> Fence | None:
        """What is remembered of an execution."""
        return self._fences.get(execution_id)

    def bind(self, hold: Hold) -> None:
        """Bind a path that is free, or reserved by the execution that is spoken for."""
        self._take(hold)
        self._bound[hold.key] = hold

    def reserve(self, hold: Hold) -> None:
        """Reserve a free path for the owner in `hold`."""
        self._take(hold)
        self._reserved[hold.key] = hold

    def release(self, execution_id: ExecutionId) -> None:
        """Free whatever an execution has reserved and not bound."""
        self._released[execution_id] = None
        for key in self._keys_by_owner.pop(execution_id.text, ()):
            del self._held[key]
            self._reserved.pop(key, None)
            for folder in folders_of(key):
                if made := self._made.get(folder):
                    made.pop(execution_id.text, None)

    def remember(self, fence: Fence) -> None:
        """Remember a new state of an execution."""
        self._fences[fence.execution_id] = self._remembered[fence.execution_id] = fence

    def write(self, transaction: BindingTransaction) -> None:
        """Write the changes of the whole batch."""
        if self._bound:
            transaction.bind(list(self._bound.values()))
        # After binding, so that what is bound is no longer the execution's to release; before others reserve it.
        if self._released:
            transaction.release(list(self._released))
        if self._reserved:
            transaction.reserve(list(self._reserved.values()))
        if self._remembered:
            transaction.fence(list(self._remembered.values()))

    def _take(self, hold: Hold) -> None:
        self._set(hold)
        for folder in folders_of(hold.key):
            self._made.setdefault(folder, {})[hold.owner] = hold

    def _set(self, hold: Hold) -> None:
        before = self._held.get(hold.key)
        if before is not None and before.owner is not None:
            self._keys_by_owner[before.owner].discard(hold.key)
        self._held[hold.key] = hold
        if hold.owner is not None:
            self._keys_by_owner.setdefault(hold.owner, set()).add(hold.key)
