"""What every handler shares: who may call, the server's clock, what was called, and what fails."""

import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.modal.faults import Faults


@dataclass
class Hub:
    """One per plane."""

    token: tuple[str, str]
    """The id and secret that open it."""
    url: str = ""
    """Where it answers."""
    skew_s: float = 0.0
    """How far the server's clock runs ahead of this machine's."""
    dedupe: bool = False
    """Whether a repeated idempotency key gets the first reply again. Unknown of the real one: suites pass both ways."""
    calls: list[str] = field(default_factory=list)
    """Every RPC that arrived, in order."""
    missing: set[str] = field(default_factory=set)
    """RPCs that arrived and have no handler: what a new client uses and this plane lacks."""
    faults: Faults = field(default_factory=Faults)
    replies: dict[tuple[str, str], Any] = field(default_factory=dict)

    def now(self) -> float:
        return time.time() + self.skew_s

    def counts(self, since: int = 0) -> Counter[str]:
        """How often each RPC arrived, from the `since`-th call on."""
        return Counter(self.calls[since:])

    def object_id(self, prefix: str) -> str:
        return f"{prefix}-{uuid.uuid4().hex[:22]}"
