"""Tails: whoever follows a chain is woken by what is appended, here at once and by another replica within a second."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from services.ledger.domain.chain import MAX_PAGE_BYTES
from services.ledger.ports import EventFilter, LedgerStore, StoredEvent
from theory.core.clock import Clock, until_set
from theory.core.errors import TheoryError
from theory.core.ledger import ChainHead

_log = logging.getLogger(__name__)

LONGEST_TAIL_S = 540.0
"""A tail ends cleanly after this time, with its position: networks between here and there need that."""
TOLD_EVERY_S = 15.0
"""How long a tail is silent at most: its position moves on though nothing that it wants is appended."""
_LOOK_EVERY_S = 1.0
"""How long an event that another replica appended may stay unseen."""
_PAGE = 1_000


class Told(NamedTuple):
    """One message of a tail."""

    events: Sequence[StoredEvent]
    after_seq: int
    """Nothing that is wanted stands at or before it but what was told: the position to resume from."""
    head: ChainHead


class Tails:
    """Everyone who follows a chain, by chain. One look at the heads serves all of them."""

    def __init__(self, store: LedgerStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._seen: dict[str, int] = {}
        store.listen(self.heard)

    def heard(self, plan_ids: Collection[str]) -> None:
        """Something was appended to these chains."""
        for plan_id in self._waiting.keys() & plan_ids:
            for woken in self._waiting[plan_id]:
                woken.set()

    async def follow(self, plan_id: str, *, after_seq: int, chosen: EventFilter) -> AsyncGenerator[Told, None]:
        """The chosen events behind `after_seq`, those that are there and those to come; a chain may yet be empty.

        Ends after `LONGEST_TAIL_S`, never before it told where it stands. Nothing is read ahead of the reader.
        """
        began = told_at = self._clock.monotonic()
        with self._woken(plan_id) as woken:
            while True:
                woken.clear()
                events, head, more = await self._store.list_events(
                    plan_id, after_seq=after_seq, chosen=chosen, limit=_PAGE, max_bytes=MAX_PAGE_BYTES
                )
                position = events[-1].seq if more else max(after_seq, head.seq)
                ending = self._clock.monotonic() - began > LONGEST_TAIL_S
                if events or ending or self._clock.monotonic() - told_at >= TOLD_EVERY_S:
                    told_at = self._clock.monotonic()
                    yield Told(events, position, head)
                after_seq = position
                if ending:
                    return
                if not more:
                    await until_set(woken, self._clock, TOLD_EVERY_S)

    async def run(self) -> None:
        """Look, for ever, for what other replicas appended."""
        while True:
            await self._clock.sleep(_LOOK_EVERY_S)
            try:
                await self._look()
            except TheoryError as error:  # whoever reads is told of it
                _log.warning("tails.blind", extra={"theory_fields": {"reason": error.reason}})

    async def _look(self) -> None:
        if self._waiting:
            heads = await self._store.heads(list(self._waiting))
            self.heard([each.plan_id for each in heads.values() if self._seen.get(each.plan_id) != each.seq])
            self._seen = {each.plan_id: each.seq for each in heads.values()}

    @contextmanager
    def _woken(self, plan_id: str) -> Iterator[asyncio.Event]:
        woken = asyncio.Event()
        self._waiting.setdefault(plan_id, set()).add(woken)
        try:
            yield woken
        finally:
            self._waiting[plan_id].discard(woken)
            if not self._waiting[plan_id]:
                del self._waiting[plan_id]
