"""Failures at the edge of an RPC: before its handler ran, or after, when all is done and only the reply is lost."""

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from grpclib import GRPCError, Status

BEFORE = "before"
AFTER = "after"


def _any(request: object) -> bool:
    return True


@dataclass
class Fault:
    """Fails the next `times` calls of an RPC that `match`."""

    rpc: str
    when: str = AFTER
    status: Status = Status.UNAVAILABLE
    times: int = 1
    match: Callable[[object], bool] = _any


@dataclass(frozen=True)
class Chaos:
    """Fails calls by chance, each way with half of the rate. The same seed fails the same calls of a sequence."""

    rate: float
    seed: int = 0
    rpcs: Collection[str] = ()
    """Which; all of them where it is empty."""
    status: Status = Status.ABORTED
    """One that the client does not repeat by itself, so that callers see it."""
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_random", random.Random(self.seed))

    def strikes(self, rpc: str) -> bool:
        return (not self.rpcs or rpc in self.rpcs) and self._random.random() < self.rate / 2


class Faults:
    """What is armed. Faults go before chaos."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []
        self.chaos: Chaos | None = None
        self.fired = 0
        """How many calls failed on purpose."""

    def arm(self, *faults: Fault) -> None:
        self._armed.extend(faults)

    def clear(self) -> None:
        self._armed.clear()
        self.chaos = None

    def fire(self, rpc: str, when: str, request: object) -> None:
        for fault in self._armed:
            if (fault.rpc, fault.when) == (rpc, when) and fault.times > 0 and fault.match(request):
                fault.times -= 1
                self._raise(fault.status, rpc, when)
        if self.chaos is not None and self.chaos.strikes(rpc):
            self._raise(self.chaos.status, rpc, when)

    def _raise(self, status: Status, rpc: str, when: str) -> None:
        self.fired += 1
        raise GRPCError(status, f"failed on purpose {when} {rpc}")
