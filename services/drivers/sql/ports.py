"""What a SQL product has to offer so that a service can keep its tables there."""

from collections.abc import Callable, Collection
from typing import Protocol

from sqlalchemy import Connection

from theory.core.clock import Clock


class Session(Protocol):
    """One connection, used by one thread at a time, and the words around a unit of work."""

    @property
    def connection(self) -> Connection:
        """What functions are given. Another one after `renew`."""
        ...

    @property
    def open(self) -> bool:
        """Whether a transaction is under way. The product may have undone it by itself."""
        ...

    @property
    def lost(self) -> bool:
        """Whether the connection is gone, and with it whatever was not committed."""
        ...

    def renew(self) -> None:
        """Connect again, where the connection is lost."""
        ...

    def close(self) -> None:
        """Let go."""
        ...

    def begin_write(self, locks: Collection[str]) -> None:
        """Begin; whoever has one of the locks too, in any process, waits until this transaction ends.

        All locks of a transaction are taken here, in one order for everybody: they never wait in a circle.
        """
        ...

    def begin_read(self) -> None:
        """See one state until the commit."""
        ...

    def commit(self) -> None:
        """Keep what was done."""
        ...

    def roll_back(self) -> None:
        """Undo everything, if there is anything to undo. Never raises over a lost connection."""
        ...

    def save(self) -> None:
        """Begin a part that can be undone alone."""
        ...

    def undo(self) -> None:
        """Undo the part; it still has to be released."""
        ...

    def release(self) -> None:
        """End the part."""
        ...


class Listener(Protocol):
    """Hears what other replicas note."""

    def start(self) -> None:
        """Begin to listen, on this event loop."""
        ...

    async def close(self) -> None:
        """Stop."""
        ...


class Product(Protocol):
    """One database, and what its errors mean."""

    single: bool
    """Whether it bears one connection only: then reads queue with the writes."""

    replicated: bool
    """Whether other processes are meant to write to it, too."""

    stable: bool
    """Whether what was committed survives a power cut."""

    def session(self, *, readonly: bool) -> Session:
        """A new connection."""
        ...

    def translated(self, error: BaseException) -> BaseException:
        """`error` in our words where the store failed; what a statement itself did wrong is returned as it is."""
        ...

    def passing(self, error: BaseException) -> bool:
        """Whether the transaction lost against another one, and may win the next time."""
        ...

    def listener(self, writer: Session, hear: Callable[[str], None], clock: Clock) -> Listener | None:
        """What will call `hear` with the notes of others than `writer`; None where there are no others."""
        ...
