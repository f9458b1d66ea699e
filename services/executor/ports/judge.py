"""The port to whatever answers predicates that may take long: where they can neither stop nor outgrow the executor."""

from collections.abc import Mapping
from typing import Protocol

from theory.core.jcs import JSON


class Judge(Protocol):
    """Holds documents against rules that somebody else wrote."""

    async def complaint(self, rule: Mapping[str, JSON], document: bytes) -> str | None:
        """What is wrong with `document` by `rule`, if anything; also where answering takes too much memory.

        `NotReady` (`PREDICATE_TIMED_OUT`) with `timeout_s`: there is no answer within that. `Unavailable`
        (`SERVICE_UNREACHABLE`): nothing can be asked at the moment. Whoever asks costs others at most their turn.
        """
        ...
