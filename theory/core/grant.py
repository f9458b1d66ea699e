"""Who an attempt is, and what it may do: the value that services check a request against, and its form in a token."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from theory.core.document import Fields
from theory.core.errors import Denied, shown
from theory.core.ids import ExecutionId, PlanId
from theory.core.jcs import JSON, MAX_SAFE_INTEGER
from theory.core.selector import Selector
from theory.core.world_path import WorldName, WorldPath

TOKEN_ISSUER = "theory.executor"  # noqa: S105 - a name, no secret
TOKEN_TYPE = "theory-attempt+jwt"  # noqa: S105 - what the header of every such token says
TOKEN_AUDIENCES = ("artifacts", "resources")
"""The services that take an attempt's token."""
MAX_TOKEN_BYTES = 8 * 1024
"""The longest token: it travels in the metadata of every call, which has 16 KiB."""
MAX_TOKEN_LIFE_S = 60
"""How long a token holds at most, in seconds, from when it was issued."""


@dataclass(frozen=True, slots=True)
class AttemptGrant:
    """One attempt, and all that it may do. It holds no rights of its own beyond these."""

    plan_id: PlanId
    world: WorldName
    execution_id: ExecutionId
    attempt_idx: int
    """Which try it is, from 0."""
    epoch: int
    """Its fencing token, as the ledger issued it; from 1."""
    writes: tuple[Selector, ...]
    """What it may prepare."""
    topics: tuple[str, ...] | None = None
    """The topics that it may use; None where its processor declares none, and every topic of its plan is open."""

    def require_plan(self, plan_id: str) -> None:
        """`Denied` (`ATTEMPT_DENIED`) unless that is its plan."""
        if plan_id != self.plan_id.text:
            raise _denied("an attempt speaks for its own plan alone", "plan_id")

    def require_world(self, world: WorldName) -> None:
        """`Denied` (`ATTEMPT_DENIED`) unless that is its world."""
        if world != self.world:
            raise _denied("an attempt reaches its own world alone", "world")

    def require_execution(self, execution_id: ExecutionId, epoch: int) -> None:
        """`Denied` (`ATTEMPT_DENIED`) unless that is its execution, at its own epoch."""
        if execution_id != self.execution_id:
            raise _denied("an attempt speaks for its own execution alone", "execution_id")
        if epoch != self.epoch:
            raise _denied("an attempt speaks for its own epoch alone", "epoch")

    def require_topic(self, topic: str) -> None:
        """`Denied` (`ATTEMPT_DENIED`) for a topic that its processor did not declare."""
        if self.topics is not None and topic not in self.topics:
            raise _denied("the processor does not declare this topic", "topic", value=shown(topic))

    def require_writable(self, paths: Sequence[WorldPath]) -> None:
        """`Denied` (`ATTEMPT_DENIED`) where one of the paths lies outside its write set."""
        for path in paths:
            if not any(entry.matches(path) for entry in self.writes):
                raise _denied("the path lies outside of the attempt's write set", "outputs", path=path.text)

    def to_claims(self) -> dict[str, JSON]:
        """The claims of a token that say all of this."""
        claims: dict[str, JSON] = {
            "sub": self.execution_id.text,
            "plan": self.plan_id.text,
            "world": self.world.text,
            "attempt": self.attempt_idx,
            "epoch": self.epoch,
            "writes": [each.text for each in self.writes],
        }
        return claims if self.topics is None else claims | {"topics": list(self.topics)}

    def to_document(self) -> dict[str, JSON]:
        """The same for the attempt itself: what it has to name in its requests."""
        document: dict[str, JSON] = {
            "plan_id": self.plan_id.text,
            "world": self.world.text,
            "execution_id": self.execution_id.text,
            "attempt_idx": self.attempt_idx,
            "epoch": self.epoch,
            "writes": [each.text for each in self.writes],
        }
        return document if self.topics is None else document | {"topics": list(self.topics)}

    @classmethod
    def from_claims(cls, claims: JSON) -> Self:
        """The grant that claims hold, others passed over; `Invalid` (`FIELD_INVALID`) with `field`."""
        fields = Fields(claims, reason="FIELD_INVALID")
        return cls(
            plan_id=fields.needed("plan", PlanId.parse),
            world=fields.needed("world", WorldName.parse),
            execution_id=fields.needed("sub", ExecutionId.parse),
            attempt_idx=fields.whole("attempt", -1, high=MAX_SAFE_INTEGER),
            epoch=fields.whole("epoch", 0, low=1, high=MAX_SAFE_INTEGER),
            writes=fields.texts("writes", Selector.parse),
            topics=fields.texts("topics", str) if "topics" in fields else None,
        )


def _denied(sentence: str, field: str, **facts: str) -> Denied:
    return Denied("ATTEMPT_DENIED", sentence, field=field, **facts)
