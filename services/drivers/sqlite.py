"""What is SQLite's own: connections, transactions, and its errors in our words."""

import sqlite3
from collections.abc import Collection
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import StaticPool

from theory.core.errors import Corrupt, Exhausted, Invalid, TheoryError, Unavailable
from theory.core.secret import Secret

_BUSY_TIMEOUT_MS = 10_000
_PRIMARY_CODE = 0xFF

_UNREACHABLE_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_PROTOCOL,
    }
)
_CORRUPT_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def path_of(url: str) -> Path | None:
    """The file that `sqlite:///relative` or `sqlite:////absolute` names; None for `memory:`."""
    if url == "memory:":
        return None
    parts = urlsplit(url)
    if parts.scheme != "sqlite" or parts.netloc or parts.query or parts.fragment or len(parts.path) < len("/x"):
        raise Invalid("URL_INVALID", "a SQLite address is sqlite:///path or memory:", url=url)
    return Path(unquote(parts.path[1:]))


def product(url: str, *, durable: bool, secret: Secret | None) -> "Sqlite":  # noqa: ARG001 - asked of every product
    """The file at `url`; nobody needs a `secret` for it."""
    return Sqlite(path_of(url), durable=durable)


class Sqlite:
    """One file, or a database in memory that is gone with its connection.

    A durable one waits for the disk at each commit; the other may lose its last commits to a power cut, but not to a
    kill.
    """

    replicated = False

    def __init__(self, path: Path | None, *, durable: bool) -> None:
        self._path = path
        self._durable = durable
        self.single = path is None
        self.stable = durable and path is not None

    def session(self, *, readonly: bool) -> "Session":
        """A connection that never begins a transaction by itself; any thread may use it, one at a time."""
        if self._path is not None:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            except OSError as error:
                message = f"the folder of the store cannot be made: {error.strerror}"
                raise Unavailable("STORE_UNREACHABLE", message) from error
        engine = create_engine(
            # The driver takes the path as it is: no character in it can become an option of a URL.
            "sqlite://",
            creator=lambda: _opened(self._path, durable=self._durable, readonly=readonly),
            poolclass=StaticPool,
            # Begin, savepoint and commit are spoken below. SQLAlchemy adds none of its own.
            isolation_level="AUTOCOMMIT",
            # What a statement that fails was given are keys and bodies of users: they belong in no log.
            hide_parameters=True,
        )
        return Session(engine.connect())

    def translated(self, error: BaseException) -> BaseException:
        """`error` in our words where the store failed; what a statement itself did wrong is returned as it is."""
        return translated(error)

    def passing(self, error: BaseException) -> bool:  # noqa: ARG002 - as above
        """Never: who writes has the file to himself."""
        return False

    def listener(self, writer: object, hear: object, clock: object) -> None:
        """There are no others."""


def _opened(path: Path | None, *, durable: bool, readonly: bool) -> sqlite3.Connection:
    driver = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
    try:
        driver.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
        driver.execute("PRAGMA journal_mode=WAL")
        driver.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        driver.execute("PRAGMA foreign_keys=ON")
        # Without it INSERT OR REPLACE would remove a row past the trigger that keeps it.
        driver.execute("PRAGMA recursive_triggers=ON")
        driver.execute("PRAGMA temp_store=MEMORY")
        driver.execute(f"PRAGMA query_only={'ON' if readonly else 'OFF'}")
    except BaseException:
        driver.close()
        raise
    return driver


def driver_of(connection: Connection) -> sqlite3.Connection:
    """The driver's connection below `connection`: what counts thousands of rows a second goes through it."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        raise TypeError(f"not a connection to SQLite: {driver!r}")
    return driver


class Session:
    """The words around a unit of work, said to the driver itself: they cost a microsecond each."""

    lost = False

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._driver = driver_of(connection)
        self._execute = self._driver.execute

    @property
    def open(self) -> bool:
        """Whether a transaction is under way. SQLite may have undone it by itself."""
        return self._driver.in_transaction

    def renew(self) -> None:
        """A file is never lost."""

    def close(self) -> None:
        """Let the file go."""
        self.connection.close()
        self.connection.engine.dispose()

    def begin_write(self, locks: Collection[str]) -> None:  # noqa: ARG002 - one lock is enough here
        """Take the write lock before the first read, so that nothing that was read can move; it holds every lock."""
        self._execute("BEGIN IMMEDIATE")

    def begin_read(self) -> None:
        """See one state until the commit."""
        self._execute("BEGIN")

    def commit(self) -> None:
        """Keep what was done."""
        self._execute("COMMIT")

    def roll_back(self) -> None:
        """Undo everything, if there is anything to undo."""
        if self._driver.in_transaction:
            self._execute("ROLLBACK")

    def save(self) -> None:
        """Begin a part that can be undone alone."""
        self._execute("SAVEPOINT part")

    def undo(self) -> None:
        """Undo the part; it still has to be released."""
        self._execute("ROLLBACK TO part")

    def release(self) -> None:
        """End the part."""
        self._execute("RELEASE part")


def translated(error: BaseException) -> BaseException:
    """`error` in our words where the store failed; what a statement itself did wrong is returned as it is."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, sqlite3.Error) or isinstance(error, IntegrityError):
        return error
    code = getattr(cause, "sqlite_errorcode", 0) & _PRIMARY_CODE
    found: TheoryError
    if code == sqlite3.SQLITE_FULL:
        found = Exhausted("DISK_FULL", "the disk of the store is full")
    elif code in _UNREACHABLE_CODES:
        found = Unavailable("STORE_UNREACHABLE", "the store cannot be read or written now")
    elif code in _CORRUPT_CODES:
        found = Corrupt("STORE_CORRUPT", "the file of the store is damaged, or is not a database")
    else:
        return error
    found.__cause__ = error
    return found
