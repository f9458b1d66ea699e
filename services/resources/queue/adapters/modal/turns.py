"""What one process knows of the messages of a plan: whose turn it is when. A sweep finds what is lost with it."""

from collections.abc import Iterable
from heapq import heapify, heappop, heappush

from services.resources.queue.adapters.modal.messages import Side, Turn

_STALE = 64


class _Side:
    """The turns of one side of a topic, in the order in which they come."""

    def __init__(self) -> None:
        self.turns: list[tuple[int, str, int]] = []
        self.compact_at = _STALE


class Turns:
    """The newest turn of each message that is known, and when it is taken here.

    A turn that was taken is known on, but does not come again until it is put back.
    """

    def __init__(self) -> None:
        self._known: dict[str, Turn] = {}
        self._sides: dict[tuple[str, Side], _Side] = {}
        self._at: dict[str, int] = {}
        """When the turn of a message comes; none for one that was taken."""

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._known

    def __len__(self) -> int:
        return len(self._known)

    def get(self, message_id: str) -> Turn | None:
        """The newest turn that is known."""
        return self._known.get(message_id)

    def ids(self) -> Iterable[str]:
        """All messages that are known."""
        return self._known.keys()

    def put(self, topic: str, turn: Turn, at_us: int | None = None) -> None:
        """Know a turn, unless a newer one is known; it comes at `at_us`, or when its state says."""
        message_id, number, state = turn
        known = self._known.get(message_id)
        if known is not None and known.number > number:
            return
        if state.side is Side.GONE:
            self.drop(message_id)
            return
        at_us = state.visible_us if at_us is None else at_us
        self._known[message_id] = turn
        self._at[message_id] = at_us
        side = self._sides.setdefault((topic, state.side), _Side())
        heappush(side.turns, (at_us, message_id, number))
        if len(side.turns) > side.compact_at:
            side.turns = [each for each in side.turns if self._stands(*each)]
            heapify(side.turns)
            side.compact_at = _STALE + 2 * len(side.turns)

    def take(self, topic: str, side: Side, now_us: int) -> Turn | None:
        """The turn that has come, the longest due first."""
        held = self._sides.get((topic, side))
        while held is not None and held.turns and held.turns[0][0] <= now_us:
            due = heappop(held.turns)
            if self._stands(*due):
                del self._at[due[1]]
                return self._known[due[1]]
        return None

    def take_hinted(self, hinted: Turn) -> Turn | None:
        """The turn that a hint says has come; None where it was taken here, or is over."""
        known = self._known.get(hinted.message_id)
        if known is not None and known.number > hinted.number:
            return None
        waiting = self._at.pop(hinted.message_id, None) is not None
        if known is not None and known.number == hinted.number:
            return known if waiting else None
        self._known[hinted.message_id] = hinted
        return hinted

    def next_us(self, topic: str, side: Side) -> int | None:
        """When the next turn comes."""
        held = self._sides.get((topic, side))
        while held is not None and held.turns:
            if self._stands(*held.turns[0]):
                return held.turns[0][0]
            heappop(held.turns)
        return None

    def drop(self, message_id: str) -> None:
        """Forget a message."""
        self._known.pop(message_id, None)
        self._at.pop(message_id, None)

    def _stands(self, at_us: int, message_id: str, number: int) -> bool:
        known = self._known.get(message_id)
        return known is not None and known.number == number and self._at.get(message_id) == at_us
