"""Handing out: whose turn has come, by what this process knows and by the hints of others; one consumer gets it."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from services.drivers.modal_objects import together
from services.drivers.moments import to_us
from services.resources.queue.adapters.modal.messages import Facts, Side, State, Turn
from services.resources.queue.adapters.modal.place import Ops, PlanQueue, topic_hash
from services.resources.queue.adapters.modal.sweep import is_sound, learn, sweep_if_due, sweep_on
from services.resources.queue.ports import REPLY_BYTES, Consumed
from theory.core.adapters import Message
from theory.core.clock import Clock
from theory.core.errors import Corrupt, Exhausted, TheoryError, Unavailable
from theory.core.scratch import Change, queue_deadletter

_log = logging.getLogger(__name__)

_S_US = 1_000_000
_ROUNDS = 8
"""How often a consumer tries again where others were faster."""


class Asked(NamedTuple):
    """What a consumer wants."""

    topic: str
    side: Side
    most: int
    visibility_timeout_s: int


class Consumer:
    """The consumers of one process."""

    def __init__(self, clock: Clock, ops: Ops) -> None:
        self._clock = clock
        self._ops = ops

    async def consume(self, place: PlanQueue, asked: Asked) -> tuple[Consumed, list[Change]]:
        """What is handed out, and which messages went to the dead letters instead."""
        limit = await place.max_receives(asked.topic)
        if limit is None:
            return Consumed([]), []
        with suppress(Unavailable, Exhausted):  # the next consumer does it
            await sweep_if_due(place, self._clock)
        messages, moved = await self._found(place, asked, limit)
        for _ in range(_ROUNDS):
            if messages or not place.left:
                break
            with suppress(Unavailable, Exhausted):
                await sweep_on(place, self._clock)
            messages, more = await self._found(place, asked, limit)
            moved += more
        next_us = place.turns.next_us(topic_hash(asked.topic), asked.side)
        next_s = None if next_us is None else max(0.0, (next_us - to_us(self._clock.now())) / _S_US)
        return Consumed(messages, None if messages else next_s), moved

    async def _found(self, place: PlanQueue, asked: Asked, limit: int) -> tuple[list[Message], list[Change]]:
        """What is handed out of the turns that are known here and of the hints, and what went to the dead letters."""
        where = topic_hash(asked.topic)
        messages: list[Message] = []
        moved: list[Change] = []
        room = REPLY_BYTES
        for _ in range(_ROUNDS):
            wanted = asked.most - len(messages)
            taken = await self._taken(place, where, asked.side, wanted)
            dying = [each for each in taken if asked.side is Side.LIVE and 0 < limit <= each.state.receive_count]
            fitting, room = _fitting([each for each in taken if each not in dying], room)
            try:
                moved += await self._moved(place, asked.topic, dying)
                messages += await self._handed_out(place, asked, fitting)
            finally:
                self._put_back(place, where, taken)
            # Again only where others were faster: elsewhere there is no more, or no room for it.
            if len(messages) == asked.most or len(taken) < wanted or len(fitting) + len(dying) < len(taken):
                break
        return messages, moved

    async def _taken(self, place: PlanQueue, where: str, side: Side, most: int) -> list[Turn]:
        """Turns that have come, kept from the other consumers of this process."""
        now_us = to_us(self._clock.now())
        taken: list[Turn] = []
        while len(taken) < most and (turn := place.turns.take(where, side, now_us)):
            taken.append(turn)
        if side is Side.LIVE and len(taken) < most:
            try:
                hinted = await self._hinted(place, where, most - len(taken))
            except BaseException:
                self._put_back(place, where, taken)
                raise
            taken += hinted
        return taken

    async def _hinted(self, place: PlanQueue, where: str, most: int) -> list[Turn]:
        """Turns of which others say that they have come. What the Queue loses a sweep finds."""
        try:
            hints = await place.hints.take(where, most)
        except (Unavailable, Exhausted, Corrupt) as error:
            _log.warning("modal.hints", extra={"theory_fields": {"reason": error.reason}})
            hints = []
        place.short = len(hints) < most
        turns = []
        for hint in hints:
            with suppress(Corrupt):
                turn = Turn.of_hint(hint)
                if is_sound(turn.message_id) and (known := place.turns.take_hinted(turn)):
                    turns.append(known)
        return turns

    async def _moved(self, place: PlanQueue, topic: str, turns: Sequence[Turn]) -> list[Change]:
        """Move messages to the dead letters, in one step each."""
        where = topic_hash(topic)

        async def move(turn: Turn) -> Change | None:
            state = turn.state
            dead = State(Side.DEAD, to_us(self._clock.now()), state.deliveries, state.forgiven, op=self._ops.new())
            held = await place.follow(turn, dead)
            if held.state.op != dead.op:
                learn(place, where, held)
                return None
            place.turns.put(where, held)
            place.depth[where] -= 1
            return queue_deadletter(topic, state.receive_count)

        return [change for change in await together(map(move, turns)) if change is not None]

    async def _handed_out(self, place: PlanQueue, asked: Asked, turns: Sequence[Turn]) -> list[Message]:
        """Those that nobody else was handed. What nobody of us wrote is passed over.

        A failure of one stops no other; it is raised where it stopped all.
        """
        where = topic_hash(asked.topic)
        failures: list[TheoryError] = []

        async def hand_out(turn: Turn) -> Message | None:
            try:
                return await self._claimed(place, where, turn, asked.visibility_timeout_s)
            except Corrupt:
                _log.warning("modal.foreign", extra={"theory_fields": {"message_id": turn.message_id}})
                place.turns.drop(turn.message_id)
                return None
            except TheoryError as error:
                failures.append(error)
                return None

        messages = [each for each in await together(map(hand_out, turns)) if each is not None]
        if failures and not messages:
            raise failures[0]
        return messages

    async def _claimed(self, place: PlanQueue, where: str, turn: Turn, visibility_timeout_s: int) -> Message | None:
        # The body first: to fail there costs nothing. Whoever makes the next state then has the message, and it is
        # not acknowledged: that would have been the next state.
        body = await place.body(where, turn.message_id)
        if body is None:
            place.turns.drop(turn.message_id)
            return None
        state = turn.state
        hidden_us = to_us(self._clock.now()) + visibility_timeout_s * _S_US
        mine = State(state.side, hidden_us, state.deliveries + 1, state.forgiven, self._ops.new())
        held = await place.follow(turn, mine)
        if held.state.op != mine.op:
            learn(place, where, held)
            return None
        place.turns.put(where, held)
        publish_time = Facts.of(turn.message_id).publish_time
        return Message(turn.message_id, body, held.handle(), mine.receive_count, publish_time)

    def _put_back(self, place: PlanQueue, where: str, taken: Sequence[Turn]) -> None:
        """Turns that nothing followed come again at once: they were too big, or it failed, or nobody waits any more."""
        for turn in taken:
            known = place.turns.get(turn.message_id)
            if known is not None and known.number == turn.number:
                place.turns.put(where, known, 0)


def _fitting(turns: Sequence[Turn], room: int) -> tuple[list[Turn], int]:
    """As many as fit the room, and the room that is left."""
    fitting: list[Turn] = []
    for turn in turns:
        size = Facts.of(turn.message_id).size_bytes
        if size > room:
            break
        room -= size
        fitting.append(turn)
    return fitting, room
