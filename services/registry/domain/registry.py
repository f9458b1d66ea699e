"""The registry's operations: publish, read, list, pin."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.registry.domain import closure
from services.registry.domain.forms import Forms, Judged
from services.registry.domain.records import opened, opened_as, opened_snapshot, sealed, sealed_snapshot
from services.registry.ports import RegistryStore, SnapshotRow, SpecRow
from theory.core import jcs
from theory.core.chain import NewEvent, system_chain
from theory.core.clock import Clock
from theory.core.errors import AlreadyExists, Exhausted, NotFound, TheoryError, shown
from theory.core.ledger import PlanEvent
from theory.core.refs import SpecKind
from theory.core.registry import Published, Spec, SpecDraft, SpecName
from theory.core.spec import RegistrySnapshot

MAX_BATCH_ITEMS = 100
MAX_ROOTS = 1_000
REPLY_BYTES = 6 * 1024 * 1024
"""What the documents of one answer weigh together at most; one always fits."""

_STEP = 24  # as many of the largest documents weigh 6 MiB


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of documents."""

    specs: Sequence[Spec]
    more: bool
    """Whether others follow."""

    @property
    def position(self) -> tuple[str, str]:
        """Where it ended: what the next page is behind."""
        name = self.specs[-1].name
        return name.kind.value, name.ref.text


@dataclass(frozen=True, slots=True)
class Pinned:
    """A snapshot and the bytes that were judged."""

    snapshot_id: str
    canonical: bytes
    create_time: datetime


class Registry:
    """Documents and snapshots, each for ever what it was."""

    def __init__(self, store: RegistryStore, forms: Forms, clock: Clock) -> None:
        self._store = store
        self._forms = forms
        self._clock = clock

    @property
    def adapter(self) -> str:
        """What keeps it all, in one word."""
        return self._store.kind

    @property
    def durable(self) -> bool:
        """Whether what was answered survives a crash."""
        return self._store.durable

    async def publish(self, drafts: Sequence[SpecDraft | TheoryError]) -> list[Published | TheoryError]:
        """Publish each draft by itself; one answer each, in order. An item that is an error already stays one.

        `Invalid` (`SPEC_INVALID`, `JSON_INVALID`) as `Forms.judge`; `AlreadyExists` (`REF_TAKEN`) with `ref` and the
        `digest` of the other document that has it; `Exhausted` (`REPLY_FULL`) for what the answer has no room for: that
        was not published.
        """
        judged = await self._judged(drafts)
        now = self._clock.now()
        rows = [sealed(each, now) if isinstance(each, Judged) else each for each in judged]
        added = [row for row in rows if isinstance(row, SpecRow)]
        standing = iter(await self._store.add([(row, _event(row)) for row in added]) if added else ())
        return [_published(row, next(standing)) if isinstance(row, SpecRow) else row for row in rows]

    async def _judged(self, drafts: Sequence[SpecDraft | TheoryError]) -> Sequence[Judged | TheoryError]:
        room = REPLY_BYTES
        answers: list[Judged | TheoryError] = []
        for draft in drafts:
            # A document may take a second: others are served meanwhile, and a caller that left stops it here.
            answer = draft if isinstance(draft, TheoryError) else await asyncio.to_thread(self._judge, draft)
            if isinstance(answer, Judged):
                answer = answer if len(answer.canonical) <= room else _full()
            if isinstance(answer, Judged):
                room -= len(answer.canonical)
            answers.append(answer)
        return answers

    def _judge(self, draft: SpecDraft) -> Judged | TheoryError:
        try:
            return self._forms.judge(draft)
        except TheoryError as error:
            return error

    async def get(self, names: Sequence[SpecName | TheoryError]) -> list[Spec | TheoryError]:
        """Each document by its name, in order. An item that is an error already stays one.

        `NotFound` (`SPEC_UNKNOWN`), `Corrupt` (`SPEC_CORRUPT`), `Exhausted` (`REPLY_FULL`).
        """
        room = REPLY_BYTES
        answers: list[Spec | TheoryError] = []
        for start in range(0, len(names), _STEP):
            step = names[start : start + _STEP]
            found = await self._store.find([name for name in step if isinstance(name, SpecName)]) if room > 0 else {}
            for name in step:
                answer = name if isinstance(name, TheoryError) else _full() if room <= 0 else _found(name, found)
                if isinstance(answer, Spec):
                    answer = answer if len(answer.canonical) <= room else _full()
                if isinstance(answer, Spec):
                    room -= len(answer.canonical)
                answers.append(answer)
        return answers

    async def list(self, kind: SpecKind | None, *, after: tuple[str, str], limit: int) -> Listing:
        """At most `limit` documents behind the (kind, ref) `after`, by kind and ref as texts; at least one if any.

        `Corrupt` (`SPEC_CORRUPT`) where one of them is damaged.
        """
        rows, more = await self._store.page(kind, after=after, limit=limit, max_bytes=REPLY_BYTES)
        return Listing([opened(row) for row in rows], more)

    async def pin(self, roots: Sequence[SpecName]) -> Pinned:
        """The snapshot of all that `roots` name, made now or when the same documents were pinned first.

        Errors as `closure_of`, and `Corrupt` (`SPEC_CORRUPT`, `SNAPSHOT_ID_MISMATCH`).
        """
        documents = await closure.closure_of(roots, self._load)
        row = await asyncio.to_thread(_pinned_now, documents, self._clock.now())
        standing = await self._store.pin(row)
        return await asyncio.to_thread(_pinned, row.snapshot_id, standing)

    async def snapshot(self, snapshot_id: str) -> Pinned:
        """The snapshot of this id; `NotFound` (`SNAPSHOT_UNKNOWN`), `Corrupt` (`SNAPSHOT_ID_MISMATCH`)."""
        row = await self._store.snapshot(snapshot_id)
        if row is None:
            raise NotFound("SNAPSHOT_UNKNOWN", "there is no such snapshot", snapshot_id=shown(snapshot_id))
        return await asyncio.to_thread(_pinned, snapshot_id, row)

    async def ready(self) -> None:
        """Raise where the store does not answer."""
        await self._store.find(())

    async def _load(self, names: Collection[SpecName]) -> Mapping[SpecName, Spec]:
        rows = await self._store.find(names)
        return {name: opened_as(name, row) for name, row in rows.items()}


def _published(row: SpecRow, standing: SpecRow | None) -> Published | TheoryError:
    if standing is None:
        return Published(opened(row), created=True)
    try:
        spec = opened_as(opened(row).name, standing)
    except TheoryError as error:
        return error
    if spec.digest != row.digest:
        message = f"another document was published as {row.ref}: publish this one under the next version"
        return AlreadyExists("REF_TAKEN", message, ref=row.ref, digest=spec.digest)
    return Published(spec, created=False)


def _found(name: SpecName, rows: Mapping[SpecName, SpecRow]) -> Spec | TheoryError:
    if name not in rows:
        message = f"there is no {name.ref} among the {name.kind}"
        return NotFound("SPEC_UNKNOWN", message, ref=name.ref.text, kind=name.kind.value)
    try:
        return opened_as(name, rows[name])
    except TheoryError as error:
        return error


def _event(row: SpecRow) -> PlanEvent:
    # The seal names this publication, and no other one: of the same ref in a registry that began anew, for one.
    body = {"ref": row.ref, "kind": row.kind, "digest": row.digest}
    return PlanEvent(
        system_chain("registry"), NewEvent(f"published:{row.seal}", "registry.published", row.create_time, body)
    )


def _pinned_now(documents: closure.Documents, now: datetime) -> SnapshotRow:
    by_kind: dict[SpecKind, dict[str, Mapping[str, jcs.JSON]]] = {}
    for name, document in documents.items():
        by_kind.setdefault(name.kind, {})[name.ref.text] = document
    row = sealed_snapshot(RegistrySnapshot.of(by_kind, now))
    if len(row.document) > closure.MAX_BYTES:
        raise closure.too_large()
    return row


def _pinned(snapshot_id: str, row: SnapshotRow) -> Pinned:
    return Pinned(snapshot_id, row.document, opened_snapshot(snapshot_id, row).created_at)


def _full() -> Exhausted:
    return Exhausted("REPLY_FULL", "the reply is full: ask for this item again")
