"""Who uses a state that others may use, too."""

from dataclasses import dataclass

from theory.core.clock import Clock
from theory.core.secret import Secret


@dataclass(frozen=True)
class Replica:
    """One executor of several."""

    name: str
    """The same as long as its home is: after a restart it goes on with what it held."""
    lease_s: float
    """For how long it holds a plan after it was last heard of."""
    clock: Clock
    """For a state whose database has no clock of its own."""
    secret: Secret | None = None
    """The password of the database."""
