"""A database that several adapters of one service share, and the events that their changes leave in it."""

from collections.abc import Callable, Iterable

from sqlalchemy import Connection, MetaData

from services.drivers import outbox
from services.drivers.moments import from_us
from services.drivers.opening import Opening
from services.drivers.sql import Database
from theory.core.clock import rfc3339
from theory.core.scratch import Change, sampled


class SharedDatabase:
    """Closed with the service. Its events go to the ledger from `start` on, across crashes."""

    def __init__(self, database: Database, opening: Opening) -> None:
        self.database = database
        self._pump = outbox.Pump(database, opening.append, opening.clock)
        self._listener = database.listener(self._heard, opening.clock)
        self._hear: list[Callable[[str], None]] = []

    def subscribe(self, hear: Callable[[str], None]) -> None:
        """Call `hear`, on the event loop of `start`, with what other replicas note."""
        self._hear.append(hear)

    def start(self) -> None:
        """Begin to carry events to the ledger, and to listen where anybody subscribed."""
        self._pump.start()
        if self._listener is not None and self._hear:
            self._listener.start()

    async def ready(self) -> None:
        """Return where the database answers."""
        await self.database.read(lambda _: None)

    async def close(self) -> None:
        """Finish what is queued and let go; events that are left wait for the next start."""
        if self._listener is not None:
            await self._listener.close()
        await self._pump.close()
        await self.database.close()

    def _heard(self, note: str) -> None:
        for hear in self._hear:
            hear(note)

    def told(self) -> None:
        """Say that a transaction with events has committed."""
        self._pump.poke()


async def share_database(opening: Opening, url: str, metadata: MetaData) -> SharedDatabase:
    """The database at `url`, made on first use, with the tables of `metadata` and an outbox; errors as `Database`.

    What is answered survives a kill, and a power cut where it is on a server: a file does not wait for the disk.
    """

    async def make() -> SharedDatabase:
        tables = MetaData()
        outbox.add_to(tables)
        database = await Database.open(url, tables, durable=not url.startswith("sqlite:"), secret=opening.secret)
        return SharedDatabase(database, opening)

    shared = await opening.share(f"sql {url}", make)
    await shared.database.add(metadata)
    return shared


def tell(
    connection: Connection, plan_id: str, area: str, changes: Iterable[Change], *, counted: int, every: int, now: int
) -> bool:
    """Keep those changes that become events if this transaction commits; whether there are any.

    `counted` and `every` as for `theory.core.scratch.sampled`; `now` in microseconds.
    """
    if not every:
        return False
    events = list(sampled(plan_id, area, changes, counted=counted, every=every, ts=rfc3339(from_us(now))))
    outbox.enqueue(connection, events)
    return bool(events)
