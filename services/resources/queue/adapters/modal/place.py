"""What a plan's messages are on Modal: bodies in one Dict, states in another, hints in a Queue.

    m:<topic>:<id>   in the first Dict: the body, from publish to ack
    t:<topic>        beside it: the figure with which the topic was made
    s:<id>:<n>       in the second Dict: the n-th state of a message, written once; it alone decides what becomes of it
    k:<key>:<slot>   beside it: which message has an idempotency key

A `Queue.get` that loses its answer loses its items. So the Queue holds nothing but hints, which may be lost, repeated
or late; a message whose hint is lost is found by listing the first Dict.
"""

import asyncio
from collections import Counter
from itertools import count
from math import inf
from struct import Struct

from services.drivers.modal import Connection, foreign, hash_of, name_of
from services.drivers.modal_objects import (
    Dictionary,
    Hints,
    drop_dictionary,
    drop_hints,
    find_dictionary,
    find_hints,
    together,
)
from services.drivers.opening import Opening
from services.resources.queue.adapters import refusals
from services.resources.queue.adapters.modal.messages import State, Turn, first_turn, unpack_body
from services.resources.queue.adapters.modal.turns import Turns
from theory.core.errors import NotReady, TheoryError

_FIGURE_BYTES = 4
_TOKEN_BYTES = 8
_OP = Struct(">8sQ")


class PlanQueue:
    """The messages of one plan, and what this process knows of them."""

    def __init__(self, messages: Dictionary, states: Dictionary, hints: Hints) -> None:
        self.messages = messages
        self.states = states
        self.hints = hints
        self.turns = Turns()
        self.depth: Counter[str] = Counter()
        """About how many messages each topic holds, by its hash."""
        self.swept = -inf
        """When the last sweep began, by the monotonic clock."""
        self.sweeping = asyncio.Lock()
        self.left = False
        """Whether the last sweep left messages that it had no room for."""
        self.short = False
        """Whether the Queue had fewer hints than were asked for, the last time."""
        self._figures: dict[str, int] = {}

    async def make_topic(self, topic: str, max_receives: int | None) -> None:
        """Fix the figure of a topic with its first publish; `AlreadyExists` (`TOPIC_TAKEN`) for another one later."""
        figure = self._figures.get(topic)
        if figure is None:
            figure = _figure(await self.messages.claim(f"t:{topic}", (max_receives or 0).to_bytes(_FIGURE_BYTES)))
            self._figures[topic] = figure
        if max_receives is not None and max_receives != figure:
            raise refusals.topic_taken(figure)

    async def max_receives(self, topic: str) -> int | None:
        """The figure of a topic; None where nobody published to it."""
        figure = self._figures.get(topic)
        if figure is None:
            held = await self.messages.get(f"t:{topic}")
            if held is None:
                return None
            figure = self._figures[topic] = _figure(held)
        return figure

    async def body(self, topic: str, message_id: str) -> bytes | None:
        """The body; None where the message is gone."""
        data = await self.messages.get(key_of(topic, message_id))
        return None if data is None else unpack_body(data)

    async def follow(self, turn: Turn, state: State) -> Turn:
        """What comes after a turn, for ever: `state` if nobody was first."""
        number = turn.number + 1
        held = await self.states.claim(f"s:{turn.message_id}:{number}", state.pack())
        return Turn(turn.message_id, number, State.unpack(held))

    async def newest(self, message_id: str) -> Turn:
        """The newest turn of a message, found from its first."""
        return await self._newest(first_turn(message_id))

    async def settle(self, delivery: Turn, state: State) -> Turn | TheoryError:
        """Follow a delivery, and what has been made of it since, unless it is no longer the newest."""
        turn = delivery
        known = self.turns.get(delivery.message_id)
        if known is not None and known.number > turn.number and _same(known.state, delivery.state):
            turn = known
        while True:
            held = await self.follow(turn, state)
            if held.state.op == state.op:
                return held
            if not _same(held.state, delivery.state):
                return _refused((await self._newest(held)).state, delivery.state)
            turn = held

    async def _newest(self, turn: Turn) -> Turn:
        while (data := await self.states.get(f"s:{turn.message_id}:{turn.number + 1}")) is not None:
            turn = Turn(turn.message_id, turn.number + 1, State.unpack(data))
        return turn


class PlanQueues:
    """How the objects of plans come and go."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def make(self, plan_id: str) -> PlanQueue:
        # Bodies last: whoever finds that Dict finds the others, too.
        hints = await find_hints(self._connection, name_of("queue", plan_id), create=True)
        states = await find_dictionary(self._connection, name_of("states", plan_id), create=True)
        messages = await find_dictionary(self._connection, name_of("queue", plan_id), create=True)
        return PlanQueue(messages, states, hints)

    async def find(self, plan_id: str) -> PlanQueue:
        messages = await find_dictionary(self._connection, name_of("queue", plan_id), create=False)
        states = await find_dictionary(self._connection, name_of("states", plan_id), create=False)
        hints = await find_hints(self._connection, name_of("queue", plan_id), create=False)
        return PlanQueue(messages, states, hints)

    async def drop(self, plan_id: str) -> None:
        await together(
            (
                drop_dictionary(self._connection, name_of("queue", plan_id)),
                drop_dictionary(self._connection, name_of("states", plan_id)),
                drop_hints(self._connection, name_of("queue", plan_id)),
            )
        )

    def over(self, plan_id: str) -> NotReady:
        return refusals.plan_ended(plan_id)


class Ops:
    """What the writes of this process are known by."""

    def __init__(self, opening: Opening) -> None:
        self._token = bytes.fromhex(opening.ids.token_hex(_TOKEN_BYTES))
        self._count = count()

    def new(self) -> bytes:
        """One that no write had before."""
        return _OP.pack(self._token, next(self._count))


def key_of(topic: str, message_id: str) -> str:
    """Where the body of a message lies; `topic` is a hash."""
    return f"m:{topic}:{message_id}"


def topic_hash(topic: str) -> str:
    """What stands for a topic in keys and partitions: its name may be longer than they."""
    return hash_of(topic)


def _same(state: State, delivery: State) -> bool:
    return (state.side, state.deliveries) == (delivery.side, delivery.deliveries)


def _refused(newest: State, delivery: State) -> TheoryError:
    if newest.side is not delivery.side:
        return refusals.message_unknown()
    return refusals.superseded()


def _figure(data: bytes) -> int:
    if len(data) != _FIGURE_BYTES:
        raise foreign()
    return int.from_bytes(data)
