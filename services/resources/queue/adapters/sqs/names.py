"""What queues are called: enough to find all of a deployment or of a plan by how they begin, and no more."""

import re
from base64 import b32encode
from typing import NamedTuple

from blake3 import blake3

_HASH_BYTES = 16
_ENDED = "ended"
_EVERY = "every-"

_is_topic = re.compile(r"[a-z2-7]{26}(-d)?").fullmatch


class Name(NamedTuple):
    """The name of a queue, taken apart."""

    plan: str
    """How the names of all queues of its plan begin."""
    rest: str

    @property
    def holds_messages(self) -> bool:
        """Whether it is of a topic, or of the dead letters of one."""
        return _is_topic(self.rest) is not None

    @property
    def ended(self) -> bool:
        """Whether it holds nothing, and says by being there that its plan has ended."""
        return self.rest == _ENDED

    @property
    def event_every(self) -> int | None:
        """What it says by being there: how many changes of the plan make an event; None for any other queue."""
        return int(self.rest.removeprefix(_EVERY)) if self.rest.startswith(_EVERY) else None


class Names:
    """The names of one deployment: at most 80 letters, digits, '-' and '_', as SQS demands."""

    DEAD = "-d"
    """What the name of a queue of dead letters has more than that of its topic."""

    def __init__(self, deployment: str) -> None:
        self.deployment = f"th-{deployment}-"
        """How all of them begin."""
        self._of_plan = re.compile(rf"(?P<plan>{self.deployment}[a-z2-7]{{26}})-(?P<rest>.+)").fullmatch

    def plan(self, plan_id: str) -> str:
        """How the names of a plan's queues begin."""
        return self.deployment + _hash(plan_id)

    def topic(self, plan_id: str, topic: str, *, dead_letters: bool) -> str:
        """The queue of a topic, or of its dead letters."""
        return f"{self.plan(plan_id)}-{_hash(topic)}{self.DEAD if dead_letters else ''}"

    def marks(self, plan_id: str) -> str:
        """How the names of those queues begin that say something about the plan."""
        return f"{self.plan(plan_id)}-e"

    def ended(self, plan_id: str) -> str:
        """The empty queue that says that the plan has ended."""
        return f"{self.plan(plan_id)}-{_ENDED}"

    def every(self, plan_id: str, event_every: int) -> str:
        """The empty queue that says how many changes of the plan make an event."""
        return f"{self.plan(plan_id)}-{_EVERY}{event_every}"

    def parse(self, url: str) -> Name | None:
        """The name at the end of a queue's URL; None where it is of no plan of this deployment."""
        match = self._of_plan(url.rpartition("/")[2])
        return match and Name(match["plan"], match["rest"])


def _hash(text: str) -> str:
    return b32encode(blake3(text.encode()).digest(length=_HASH_BYTES)).decode().rstrip("=").lower()
