"""What is Postgres's own: connections, transactions, locks, and its errors in our words."""

from collections.abc import Callable
from typing import Any, cast

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.array import ListBinaryDumper
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from services.drivers.postgres.listener import Listener
from services.drivers.postgres.session import Session
from services.drivers.sql.ports import Session as AnySession
from theory.core.clock import Clock
from theory.core.errors import Corrupt, Exhausted, Invalid, NotReady, TheoryError, Unavailable
from theory.core.secret import Secret

_CONNECT_S = 5

_PARTS = frozenset({"user", "host", "port", "dbname"})
_OPTIONS = frozenset({"sslmode", "sslrootcert", "sslcert", "sslkey", "target_session_attrs"})

_SETTINGS = {
    # A process that stops in the middle of a transaction must not keep its locks from the others.
    "idle_in_transaction_session_timeout": "20s",
    "default_transaction_isolation": r"read\ committed",
}

_PASSING = frozenset({"40001", "40P01"})  # lost against another transaction; chosen to end a deadlock
_CORRUPT = frozenset({"XX001", "XX002"})
_DENIED = frozenset({"28000", "28P01", "42501"})
_UNREACHABLE = frozenset({"25006", "25P03", "55P03"})  # a copy that only reads; idle for too long; a lock not to be had
_UNREACHABLE_CLASSES = frozenset({"08", "40", "53", "57", "58"})


def product(url: str, *, durable: bool, secret: Secret | None) -> "Postgres":
    """The database at `url`; `secret` is the user's password. `Invalid` (`URL_INVALID`) for what is no address."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.Error:
        parts = {}
    if "dbname" not in parts or parts.keys() - _PARTS - _OPTIONS:
        form = f"postgresql://user@host:port/database, options {', '.join(sorted(_OPTIONS))}, a socket as ?host=/folder"
        raise Invalid("URL_INVALID", f"write {form}, and never a password", url=_shown(url))
    return Postgres(url, secret, durable=durable)


def _shown(url: str) -> str:
    """No part of an address that is wrong: it may hold a password anywhere."""
    return url.partition("://")[0] + "://"


class Postgres:
    """One database of a server that replicas share."""

    single = False
    replicated = True

    def __init__(self, url: str, secret: Secret | None, *, durable: bool) -> None:
        self._url = url
        self._secret = secret
        self._durable = durable
        self.stable = durable

    def session(self, *, readonly: bool) -> "Session":
        """A connection that never begins a transaction by itself; any thread may use it, one at a time."""
        engine = create_engine(
            "postgresql+psycopg://",
            creator=lambda: self._opened(readonly=readonly),
            poolclass=NullPool,
            pool_reset_on_return=None,
            # Begin, savepoint and commit are spoken below. SQLAlchemy adds none of its own.
            isolation_level="AUTOCOMMIT",
            # What a statement that fails was given are keys and bodies of users: they belong in no log.
            hide_parameters=True,
            use_native_hstore=False,
        )
        return Session(engine.connect)

    def _opened(self, *, readonly: bool) -> psycopg.Connection[Any]:
        driver = psycopg.connect(self._url, **self._options(readonly=readonly))
        driver.adapters.register_dumper(list, ListBinaryDumper)  # rows travel in lists; as text they take twice as long
        return driver

    def _options(self, *, readonly: bool) -> dict[str, Any]:
        settings = {**_SETTINGS, "default_transaction_read_only": "on" if readonly else "off"}
        if self._durable:
            settings["synchronous_commit"] = "on"
        return {
            "password": None if self._secret is None else self._secret.reveal(),
            "autocommit": True,
            "connect_timeout": _CONNECT_S,
            "application_name": "theory",
            "client_encoding": "utf-8",
            "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
            # A server that vanished without a word is noticed after about half a minute.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 25_000,
        }

    def listener(self, writer: AnySession, hear: Callable[[str], None], clock: Clock) -> Listener:
        """Calls `hear` with what others than `writer` noted."""

        async def connect() -> psycopg.AsyncConnection[Any]:
            return await psycopg.AsyncConnection.connect(self._url, **self._options(readonly=True))

        return Listener(connect, hear, clock, own=lambda: cast("Session", writer).pid)

    def translated(self, error: BaseException) -> BaseException:
        """`error` in our words where the store failed; what a statement itself did wrong is returned as it is."""
        return translated(error)

    def passing(self, error: BaseException) -> bool:
        """Whether the transaction lost against another one, and may win the next time."""
        cause = _cause(error)
        return isinstance(cause, psycopg.Error) and cause.sqlstate in _PASSING


def translated(error: BaseException) -> BaseException:
    """`error` in our words where the store failed; what a statement itself did wrong is returned as it is."""
    cause = _cause(error)
    if not isinstance(cause, psycopg.Error) or isinstance(cause, psycopg.IntegrityError):
        return error
    code = cause.sqlstate
    found: TheoryError
    if code == "53100":
        found = Exhausted("DISK_FULL", "the disk of the store is full")
    elif code in _CORRUPT:
        found = Corrupt("STORE_CORRUPT", "the store's files are damaged")
    elif code in _DENIED:
        found = NotReady("STORE_DENIED", "the store refuses the credentials of this service, or what it wants to do")
    elif _unreachable(cause, code):
        found = Unavailable("STORE_UNREACHABLE", "the store does not answer, or does not let this service in now")
    else:
        return error
    found.__cause__ = error
    return found


def _cause(error: BaseException) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error


def _unreachable(cause: psycopg.Error, code: str | None) -> bool:
    if code is None:  # the driver's own: the connection is gone, or never was
        return isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)
    return code in _UNREACHABLE or code[:2] in _UNREACHABLE_CLASSES
