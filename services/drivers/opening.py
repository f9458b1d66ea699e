"""What an adapter is given when it is opened, and what adapters of one service share: one connection per address."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, cast

from services.drivers.events import Append, Emit
from theory.core.clock import Clock
from theory.core.ids import IdSource
from theory.core.secret import Secret


class Shared(Protocol):
    """A connection, a database, a task: made once per key, started with the service and closed with it."""

    def start(self) -> None:
        """Begin what runs by itself. Called once, when all adapters are open."""
        ...

    async def ready(self) -> None:
        """Return where it answers now; raise otherwise."""
        ...

    async def close(self) -> None:
        """Let go. What was answered is not lost by it."""
        ...


S = TypeVar("S", bound=Shared)


@dataclass(frozen=True)
class Opening:
    """The surroundings of the adapters of one service."""

    clock: Clock
    """For adapters whose backend has no clock of its own."""
    ids: IdSource
    append: Append
    """How the ledger takes events, for those that keep them until it has them."""
    emit: Emit
    """Where events go whose adapter cannot keep them: best effort."""
    secret: Secret | None = None
    """What opens the backend, where it needs a password or a token. Never a part of the URL."""
    _shared: dict[str, Shared] = field(default_factory=dict)

    def with_secret(self, secret: Secret | None) -> "Opening":
        """The same surroundings, shared things included, with the secret of another address."""
        return Opening(self.clock, self.ids, self.append, self.emit, secret, self._shared)

    async def share(self, key: str, make: Callable[[], Awaitable[S]]) -> S:
        """What has this key, made on first use. A key names its product: `sql sqlite:///a.db`."""
        if key not in self._shared:
            self._shared[key] = await make()
        return cast("S", self._shared[key])

    def start(self) -> None:
        """Begin what runs by itself, in the order in which it was made."""
        for each in list(self._shared.values()):
            each.start()

    async def ready(self) -> None:
        """Return where everything answers; raise what the first that does not raises."""
        for each in list(self._shared.values()):
            await each.ready()

    async def close(self) -> None:
        """Close everything, the last made first."""
        while self._shared:
            _, each = self._shared.popitem()
            await each.close()
