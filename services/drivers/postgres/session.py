"""One connection to Postgres, and the words around a unit of work."""

import contextlib
from collections.abc import Callable, Collection
from typing import Any, cast

import psycopg
from blake3 import blake3
from psycopg import sql
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, InvalidRequestError

from services.drivers.sql.words import NOTES, READ_TIME

CHANNEL = "theory"
"""Where notes are left for other replicas."""

_LOCKED = "; SELECT pg_advisory_xact_lock(number) FROM unnest('{{{}}}'::bigint[]) AS number"
_NOTED = sql.SQL("SELECT pg_notify({}, note) FROM unnest({}::text[]) AS note; COMMIT")


def driver_of(connection: Connection) -> psycopg.Connection[Any]:
    """The driver's connection below `connection`."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError(f"not a connection to Postgres: {driver!r}")
    return driver


class Session:
    """The words around a unit of work: a round trip each."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._part_open = False
        self._take(connect())

    def _take(self, connection: Connection) -> None:
        self.connection = connection
        self._driver = driver_of(connection)
        self._cursor = self._driver.cursor()

    @property
    def open(self) -> bool:
        """Whether a transaction is under way, be it one that takes nothing any more."""
        return not self.lost and self._driver.info.transaction_status != TransactionStatus.IDLE

    @property
    def lost(self) -> bool:
        """Whether the connection is gone."""
        return self._driver.closed

    @property
    def pid(self) -> int:
        """What the server calls this connection; 0 where it is lost."""
        return 0 if self.lost else self._driver.info.backend_pid

    def renew(self) -> None:
        """Connect again; raises where the server does not answer."""
        self.close()
        self._take(self._connect())

    def close(self) -> None:
        """Let go."""
        with contextlib.suppress(DBAPIError, InvalidRequestError, psycopg.Error):  # what is broken need not be told
            self.connection.close()
        self._driver.close()

    def begin_write(self, locks: Collection[str]) -> None:
        """Begin, and wait until no other transaction has one of the locks."""
        self._part_open = False
        self._forget()
        words = "BEGIN ISOLATION LEVEL READ COMMITTED"
        if locks:
            numbers = ",".join(map(str, sorted(map(_number, locks))))
            words += _LOCKED.format(numbers)
        self._say(words)

    def begin_read(self) -> None:
        """See one state until the commit; it begins with the first statement."""
        self._forget()
        self._say("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def commit(self) -> None:
        """Keep what was done, and let the other replicas know what was noted."""
        notes = self.connection.info.pop(NOTES, None)
        self._say(_NOTED.format(CHANNEL, sorted(notes)).as_string(self._driver) if notes else "COMMIT")

    def roll_back(self) -> None:
        """Undo everything, if there is anything to undo."""
        if self.open:
            try:
                self._say("ROLLBACK")
            except psycopg.Error:
                self._driver.close()  # what a connection held is undone with it

    def save(self) -> None:
        """Begin a part that can be undone alone."""
        self._say("RELEASE part; SAVEPOINT part" if self._part_open else "SAVEPOINT part")
        self._part_open = True

    def undo(self) -> None:
        """Undo the part; it still has to be released."""
        self._say("ROLLBACK TO part")

    def release(self) -> None:
        """End the part: with the next one, or with the transaction. That saves a round trip."""

    def _forget(self) -> None:
        for name in (NOTES, READ_TIME):
            self.connection.info.pop(name, None)

    def _say(self, words: str) -> None:
        self._cursor.execute(cast("Any", words), prepare=False)


def _number(lock: str) -> int:
    return int.from_bytes(blake3(lock.encode()).digest(8), "big", signed=True)
