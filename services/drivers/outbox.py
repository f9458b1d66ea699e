"""Events kept beside their effects, in one transaction, until the ledger has them."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    Table,
    Text,
    UniqueConstraint,
    delete,
    select,
    update,
)

from services.drivers.background import Background, Pauses
from services.drivers.events import FOR_EVER, Append
from services.drivers.sql import Database
from services.drivers.sql.schema import Part, declare, parts_of
from services.drivers.sql.statement import Rows, Statement
from services.drivers.sql.words import insert_new, now_us, upsert
from theory.core import jcs
from theory.core.chain import NewEvent, body_text
from theory.core.clock import Clock, until_set
from theory.core.errors import TheoryError
from theory.core.ledger import Appended, PlanEvent

_log = logging.getLogger(__name__)

_BATCH = 500
_TURN_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 30.0
_LOOK_EVERY_S = 5.0

_OUTBOX = Table(
    "outbox",
    MetaData(),
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("plan_id", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("ts", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("refused", Text),
    UniqueConstraint("plan_id", "event_id"),
    # A position is never given again. Events of functions that hold a lock in common lie in the order of their commits.
    sqlite_autoincrement=True,
)
_TURN = Table(
    "outbox_turn",
    MetaData(),
    Column("name", Text, primary_key=True),
    Column("until_us", BigInteger, nullable=False),
)
_EVENTS = Rows(insert_new(_OUTBOX), ("plan_id", "event_id", "kind", "ts", "body"))
_SET_TURN = Statement(upsert(_TURN))

_PART = Part("outbox", Path(__file__).parent / "outbox_migrations")
_LOCK = "outbox"
_TURN_US = 30_000_000


def add_to(metadata: MetaData) -> None:
    """Make the outbox a part of a service's database."""
    declare(metadata, [_PART])
    for table in (_OUTBOX, _TURN):
        table.to_metadata(metadata)


def beside(metadata: MetaData) -> MetaData:
    """The tables of `metadata` and an outbox, as they lie in one database."""
    both = MetaData()
    for table in metadata.sorted_tables:
        table.to_metadata(both)
    add_to(both)
    return declare(both, parts_of(metadata))


def enqueue(connection: Connection, events: Iterable[PlanEvent]) -> None:
    """Keep `events` if this transaction commits; one whose `event_id` waits already is kept once.

    `Invalid` (`EVENT_BODY_INVALID`) for a body that no chain takes: the effect is then refused with it.
    """
    rows = [(plan_id, event.event_id, event.kind, event.ts, body_text(event.body)) for plan_id, event, _ in events]
    if rows:
        _EVENTS.add(connection, rows)


class Pump:
    """Carries what was enqueued to the ledger: in order, at least once, across crashes, for as long as it takes.

    The ledger keeps an `event_id` once, so a repeat after a crash changes nothing. An event that the ledger refuses for
    ever stays in the table beside the reason, is logged, and holds up nobody. Where replicas share the database, one of
    them carries at a time; the turn of one that crashed is over after half a minute.
    """

    def __init__(self, db: Database, append: Append, clock: Clock) -> None:
        self._db = db
        self._append = append
        self._clock = clock
        self._poked = asyncio.Event()
        self._background = Background("outbox", self._run)

    def start(self) -> None:
        """Carry on what an earlier process left, then whatever comes."""
        self._background.start()

    def poke(self) -> None:
        """Say that a transaction with events has committed. Without it they leave a few seconds later."""
        self._poked.set()

    async def close(self) -> None:
        """Stop; what is left waits for the next start."""
        await self._background.close()

    async def _run(self) -> None:
        pauses = Pauses(self._clock, longest_s=_LONGEST_PAUSE_S)
        while True:
            self._poked.clear()
            try:
                carried = await self._carry()
            except Exception as error:  # noqa: BLE001 - whatever it was, the events must leave one day
                _log.warning("outbox.waits", extra={"error": repr(error), "pause_s": pauses.next_s})
                await pauses.make()
                continue
            pauses.reset()
            if carried is None:
                await self._clock.sleep(_TURN_PAUSE_S)
            elif not carried:
                # A caller that is cancelled between its commit and its poke must not leave an event behind.
                await until_set(self._poked, self._clock, _LOOK_EVERY_S)

    async def _carry(self) -> bool | None:
        """Whether anything left the outbox, None where it is another's turn; raises where the ledger takes it not."""
        rows = await (self._db.write(self._take, locks=[_LOCK]) if self._db.replicated else self._db.read(_waiting))
        if not rows:
            return None if rows is None else False
        try:
            answers = await self._append([_event_of(row) for row in rows])
        except BaseException:
            with contextlib.suppress(TheoryError):
                await self._db.write(self._end_turn)
            raise
        answered = list(zip(rows, answers, strict=True))
        done = [row.position for row, answer in answered if isinstance(answer, Appended)]
        refused = {row.position: answer for row, answer in answered if isinstance(answer, FOR_EVER)}
        for position, error in refused.items():
            _log.error("outbox.refused", extra={"position": position, "reason": error.reason})

        def settle(connection: Connection) -> None:
            _settle(connection, done, {position: error.reason for position, error in refused.items()})
            self._end_turn(connection)

        await self._db.write(settle)
        for _, answer in answered:
            if isinstance(answer, TheoryError) and not isinstance(answer, FOR_EVER):
                raise answer
        return True

    def _take(self, connection: Connection) -> Sequence[Row[Any]] | None:
        """What waits, and the turn to carry it; None where another one has the turn."""
        now = now_us(connection, self._clock)
        if (connection.scalar(select(_TURN.c.until_us)) or 0) > now:
            return None
        rows = _waiting(connection)
        if rows:
            _SET_TURN.run(connection, name=_LOCK, until_us=now + _TURN_US)
        return rows

    def _end_turn(self, connection: Connection) -> None:
        if self._db.replicated:
            _SET_TURN.run(connection, name=_LOCK, until_us=0)


def _waiting(connection: Connection) -> Sequence[Row[Any]]:
    columns = _OUTBOX.c
    waiting = select(_OUTBOX).where(columns.refused.is_(None)).order_by(columns.position).limit(_BATCH)
    return connection.execute(waiting).all()


def _event_of(row: Row[Any]) -> PlanEvent:
    return PlanEvent(row.plan_id, NewEvent(row.event_id, row.kind, row.ts, jcs.parse_object(row.body)))


def _settle(connection: Connection, done: Sequence[int], reason_by_position: dict[int, str]) -> None:
    position = _OUTBOX.c.position
    if done:
        connection.execute(delete(_OUTBOX).where(position.in_(done)))
    for at, reason in reason_by_position.items():
        connection.execute(update(_OUTBOX).where(position == at).values(refused=reason))
