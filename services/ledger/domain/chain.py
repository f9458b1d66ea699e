"""The rules of appending: who may say what, once, and where in its chain it goes."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

from services.ledger.domain.books import Books
from services.ledger.ports import EventFilter, LedgerStore, LedgerTransaction, StoredEvent
from theory.core.chain import NewEvent, event_hash_of, is_event_id, is_kind, preimage_of, system_chain
from theory.core.clock import Clock
from theory.core.errors import AlreadyExists, Conflict, Denied, Invalid, TheoryError, shown
from theory.core.ledger import Appended, ChainHead, PlanEvent

MAX_PAGE_BYTES = 4 * 1024 * 1024
"""What the events of one page, or its receipts, hold together; the first is always in it."""

OWN_IDS = "ledger/"
"""What the ids of the ledger's own events begin with; nobody else's do."""

Kinds: TypeAlias = tuple[str, ...]

KINDS_BY_ROLE: Mapping[str, Kinds] = {
    "artifacts": ("artifact.", "streams.", "world."),
    "executor": ("plan.", "execution.", "memo."),
    "registry": ("registry.", "spec.", "snapshot."),
    "resources": ("scratch.",),
}
"""What the kinds begin with that a service may emit. `budget.*` is the ledger's own."""
KINDS_OF_SETTLEMENT: Kinds = (*KINDS_BY_ROLE["executor"], "artifact.")
"""The same, of events that come with a claim or a settlement: the outputs' `artifact.written` among them."""
_OWN_KINDS = frozenset({"execution.claimed", "execution.settled", "execution.lost"})

_CHOICE = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*\.(?:[a-z][a-z0-9_]*|\*)").fullmatch
_MAX_KIND_CHARACTERS = 64
_MAX_KINDS = 64
_SYSTEM = system_chain("")


class Chains:
    """The chains as the wire sees them."""

    def __init__(self, store: LedgerStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def append(self, requests: Sequence[PlanEvent | TheoryError], *, role: str) -> list[Appended | TheoryError]:
        """Append each event as `role`, in order; one answer each, the place or why there is none.

        A request that is an error already is answered with it. Errors are those of `append_event`.
        """
        now = self._clock.now()
        items = [each for each in requests if isinstance(each, PlanEvent)]
        chains = {each.plan_id for each in items}
        ids = {(each.plan_id, each.event.event_id) for each in items}

        def run(transaction: LedgerTransaction) -> list[Appended | TheoryError]:
            books = Books(transaction, now)
            books.load_chains(chains, ids)
            books.ready()
            answers = books.answer_each(requests, lambda books, each: append_event(books, each, role=role))
            books.close()
            return answers

        return await self._store.transact(run)

    async def list_events(
        self, plan_id: str, *, after_seq: int, chosen: EventFilter, limit: int
    ) -> tuple[Sequence[StoredEvent], ChainHead, bool]:
        """A page of one chain behind `after_seq`, where the chain stands, and whether more follow."""
        return await self._store.list_events(
            plan_id, after_seq=after_seq, chosen=chosen, limit=limit, max_bytes=MAX_PAGE_BYTES
        )

    async def list_heads(self, *, after: str, limit: int) -> tuple[Sequence[ChainHead], bool]:
        """A page of the chains there are, by id, and whether more follow."""
        return await self._store.list_heads(after=after, limit=limit)


def append_event(books: Books, item: PlanEvent, *, role: str) -> Appended:
    """Append one event of `role`; a repeat of its id with the same content gets the first place.

    `Invalid`: the event is malformed. `Denied` (`EVENT_KIND_DENIED`): not a kind, or not a chain, of this role.
    `AlreadyExists` (`EVENT_ID_TAKEN`): the id names another content. `Conflict` (`SEQ_CONFLICT`): the chain is not
    where it is expected.
    """
    check_event(item.event, KINDS_BY_ROLE.get(role, ()), role=role)
    if item.plan_id.startswith(_SYSTEM) and item.plan_id != system_chain(role):
        raise Denied("EVENT_KIND_DENIED", f"the chain {item.plan_id} is not of {role}", kind=item.event.kind, role=role)
    if known := _known(books, item.plan_id, item.event):
        return Appended(known.seq, known.this_hash)
    seq = books.head(item.plan_id).seq
    if item.expected_seq is not None and item.expected_seq != seq:
        raise Conflict("SEQ_CONFLICT", f"the chain stands at {seq}, not at {item.expected_seq}", seq=str(seq))
    stored = books.record(item.plan_id, item.event)
    return Appended(stored.seq, stored.this_hash)


def record_given(books: Books, plan_id: str, events: Sequence[NewEvent]) -> None:
    """Append what came with a claim or a settlement; errors as `append_event`."""
    for event in events:
        check_event(event, KINDS_OF_SETTLEMENT, role="executor")
        if _known(books, plan_id, event) is None:
            books.record(plan_id, event)


def check_event(event: NewEvent, kinds: Kinds, *, role: str) -> None:
    """Refuse a malformed id or kind, and a kind that is none of `kinds`; the chain itself checks the rest."""
    if not is_event_id(event.event_id) or event.event_id.startswith(OWN_IDS):
        sentence = f"an event id has 1 to 128 of A-Z a-z 0-9 . _ : / @ - and does not begin with {OWN_IDS}"
        raise Invalid("EVENT_ID_INVALID", sentence, value=shown(event.event_id))
    if not is_kind(event.kind):
        raise Invalid("EVENT_KIND_INVALID", "a kind is written like scratch.kv.changed", value=shown(event.kind))
    if not event.kind.startswith(kinds) or event.kind in _OWN_KINDS:
        raise Denied("EVENT_KIND_DENIED", f"{role} does not emit {event.kind}", kind=event.kind, role=role)


def filter_of(kinds: Collection[str], begin_us: int, end_us: int) -> EventFilter:
    """Events of these kinds, or of families of kinds, written `scratch.*`; all kinds where there are none.

    `Invalid` (`EVENT_KIND_INVALID`) for what is neither, and for more than 64; `Invalid` (`TIME_INVALID`) for a time
    that begins behind its end.
    """
    if len(kinds) > _MAX_KINDS:
        raise Invalid("EVENT_KIND_INVALID", f"a filter names at most {_MAX_KINDS} kinds", value=str(len(kinds)))
    for each in kinds:
        if _CHOICE(each) is None or len(each) > _MAX_KIND_CHARACTERS:
            sentence = "a kind is written like scratch.kv.changed, and a family of kinds like scratch.*"
            raise Invalid("EVENT_KIND_INVALID", sentence, value=shown(each))
    if begin_us > end_us:
        raise Invalid("TIME_INVALID", "the time begins behind its end", value=str(begin_us))
    families = tuple(sorted({each[:-1] for each in kinds if each.endswith("*")}))
    return EventFilter(tuple(sorted({each for each in kinds if not each.endswith("*")})), families, begin_us, end_us)


def _known(books: Books, plan_id: str, event: NewEvent) -> StoredEvent | None:
    """The event that has this id already; `AlreadyExists` unless it says the same."""
    known = books.event(plan_id, event.event_id)
    if known is None:
        return None
    # Sealed in the same place, the same content has the same hash.
    if event_hash_of(preimage_of(event, plan_id, known.seq, known.prev_hash)) != known.this_hash:
        message = f"the event id stands at {known.seq} with another content"
        raise AlreadyExists("EVENT_ID_TAKEN", message, event_id=event.event_id)
    return known
