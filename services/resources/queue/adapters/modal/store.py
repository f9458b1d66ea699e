"""The port of queues on Modal: publishes, and what becomes of deliveries. Handing out has a module of its own."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from services.drivers.modal import Absent
from services.drivers.modal_objects import together
from services.drivers.modal_plans import Places, PlanTeller
from services.drivers.moments import to_us
from services.drivers.opening import Opening
from services.resources.queue.adapters import refusals
from services.resources.queue.adapters.modal import sweep
from services.resources.queue.adapters.modal.consumer import Asked, Consumer
from services.resources.queue.adapters.modal.keys import holder_of
from services.resources.queue.adapters.modal.messages import Facts, Side, State, Turn, first_turn, new_ids, pack_body
from services.resources.queue.adapters.modal.place import Ops, PlanQueue, key_of, topic_hash
from services.resources.queue.ports import Consumed, QueueFeature, Wake
from theory.core.adapters import Published, QueueExtend, QueueNack, QueuePublish, TopicStats
from theory.core.errors import TheoryError
from theory.core.scratch import Change, queue_published, queue_retry

T = TypeVar("T")

_S_US = 1_000_000
_HINT_GRACE_US = 2 * _S_US
"""A hint that was sent may be lost: after so long its sender takes the turn itself."""
_LOOKED_AT = 1_000
"""How many messages a count asks Modal about; of those beyond it goes by their ids."""


class ModalQueue:
    """Delivered at least once, by the clocks of the replicas; each delivery has one holder.

    Weaker than the common promises, as its features say: there are no quotas, events are sent after their changes, and
    counts are about right. What a dead replica had handed out comes again with the sweep of another one, a few seconds
    late. A message that nobody touches for seven days is gone; one that is handed out again and again for longer may be
    counted from 1 anew.
    """

    kind = "modal"
    durable = True
    features = frozenset(
        {
            QueueFeature.IDEMPOTENCY_KEYS,
            QueueFeature.FENCED_HANDLES,
            QueueFeature.DEAD_LETTERS,
        }
    )
    redelivery_slack_s = int(sweep.SWEEP_S) + sweep.SKEW_S + 1

    def __init__(self, places: Places[PlanQueue], teller: PlanTeller, opening: Opening) -> None:
        self._places = places
        self._tell = teller.tell
        self._forget = teller.forget
        self._clock = opening.clock
        self._ids = opening.ids
        self._ops = Ops(opening)
        self._consumer = Consumer(opening.clock, self._ops)

    def subscribe(self, wake: Wake) -> None:
        """Modal tells nobody."""

    async def publish_many(
        self, plan_id: str, topic: str, items: Sequence[QueuePublish], max_receives: int | None
    ) -> list[Published | TheoryError]:
        async def publish(place: PlanQueue) -> tuple[list[Published], int]:
            await place.make_topic(topic, max_receives)
            ids = new_ids(self._clock.now(), items, self._ids)
            held = await self._held(place, topic, list(zip(ids, items, strict=True)))
            fresh = {mine: item for mine, item, first in zip(ids, items, held, strict=True) if mine == first}
            await self._add(place, topic, fresh)
            answers = [Published(first, duplicate=mine != first) for mine, first in zip(ids, held, strict=True)]
            return answers, place.depth[topic_hash(topic)]

        published, depth = await self._places.writing(plan_id, publish)
        added = [item for item, each in zip(items, published, strict=True) if not each.duplicate]
        depths = range(depth - len(added) + 1, depth + 1)
        told = [queue_published(topic, len(each.body), size) for each, size in zip(added, depths, strict=True)]
        await self._tell(plan_id, told)
        return [*published]

    async def consume(
        self, *, plan_id: str, topic: str, dead_letters: bool, max_messages: int, visibility_timeout_s: int
    ) -> Consumed:
        asked = Asked(topic, _side(dead_letters=dead_letters), max_messages, visibility_timeout_s)
        nothing: tuple[Consumed, list[Change]] = (Consumed([]), [])
        consumed, moved = await self._places.reading(
            plan_id, lambda place: self._consumer.consume(place, asked), nothing
        )
        await self._tell(plan_id, moved)
        return consumed

    async def ack_many(
        self, plan_id: str, topic: str, receipt_handles: Sequence[str], *, dead_letters: bool
    ) -> list[TheoryError | None]:
        where = topic_hash(topic)

        async def ack(place: PlanQueue, delivery: Turn, _: object) -> Turn | TheoryError:
            # First it is decided that nothing comes after this delivery, and only then removed: an older one never
            # gets that far.
            turn = await place.settle(delivery, State(Side.GONE, 0, op=self._ops.new()))
            if isinstance(turn, Turn):
                place.turns.drop(delivery.message_id)
                place.depth[where] -= 1
                with suppress(TheoryError, Absent):  # it is over; a sweep removes what is left
                    await place.messages.remove(key_of(where, delivery.message_id))
            return turn

        items = [(handle, None) for handle in receipt_handles]
        settled = await self._settled(plan_id, items, _side(dead_letters=dead_letters), ack)
        return [each if isinstance(each, TheoryError) else None for each in settled]

    async def nack_many(
        self, plan_id: str, topic: str, items: Sequence[QueueNack], *, dead_letters: bool
    ) -> list[TheoryError | None]:
        where = topic_hash(topic)

        async def nack(place: PlanQueue, delivery: Turn, delay_s: int) -> Turn | TheoryError:
            turn = await place.settle(delivery, self._shown(delivery.state, delay_s))
            if isinstance(turn, Turn):
                if delay_s or turn.state.side is Side.DEAD:
                    place.turns.put(where, turn)
                else:
                    await self._hint(place, where, [turn])
            return turn

        wanted = [(item.receipt_handle, item.delay_s) for item in items]
        settled = await self._settled(plan_id, wanted, _side(dead_letters=dead_letters), nack)
        retries = [
            queue_retry(topic, item.delay_s, each.state.receive_count)
            for item, each in zip(items, settled, strict=True)
            if isinstance(each, Turn)
        ]
        await self._tell(plan_id, retries)
        return [each if isinstance(each, TheoryError) else None for each in settled]

    async def extend_many(
        self, plan_id: str, topic: str, items: Sequence[QueueExtend], *, dead_letters: bool
    ) -> list[TheoryError | None]:
        where = topic_hash(topic)

        async def extend(place: PlanQueue, delivery: Turn, timeout_s: int) -> Turn | TheoryError:
            turn = await place.settle(delivery, self._shown(delivery.state, timeout_s))
            if isinstance(turn, Turn):
                place.turns.put(where, turn)
            return turn

        wanted = [(item.receipt_handle, item.visibility_timeout_s) for item in items]
        settled = await self._settled(plan_id, wanted, _side(dead_letters=dead_letters), extend)
        return [each if isinstance(each, TheoryError) else None for each in settled]

    async def redrive_many(self, plan_id: str, topic: str, receipt_handles: Sequence[str]) -> list[TheoryError | None]:
        where = topic_hash(topic)

        async def redrive(place: PlanQueue, delivery: Turn, _: object) -> Turn | TheoryError:
            shown = self._shown(delivery.state, 0)
            turn = await place.settle(delivery, replace(shown, side=Side.LIVE, forgiven=shown.deliveries))
            if isinstance(turn, Turn):
                place.depth[where] += 1
                await self._hint(place, where, [turn])
            return turn

        items = [(handle, None) for handle in receipt_handles]
        settled = await self._settled(plan_id, items, Side.DEAD, redrive)
        return [each if isinstance(each, TheoryError) else None for each in settled]

    async def stats(self, plan_id: str) -> list[TopicStats]:
        async def counted(place: PlanQueue) -> list[TopicStats]:
            return await sweep.stats(place, to_us(self._clock.now()), _LOOKED_AT)

        return await self._places.reading(plan_id, counted, [])

    async def begin_plan(self, plan_id: str, event_every: int) -> None:
        await self._places.begin(plan_id, event_every)

    async def end_plan(self, plan_id: str) -> None:
        await self._places.end(plan_id)
        self._forget(plan_id)

    async def _held(self, place: PlanQueue, topic: str, items: Sequence[tuple[str, QueuePublish]]) -> list[str]:
        """The ids that the messages have: those of others where these came before with the same keys."""
        of_key: dict[str, tuple[str, QueuePublish]] = {}
        for mine, item in items:
            if item.idempotency_key is not None:
                of_key.setdefault(item.idempotency_key, (mine, item))

        async def hold(key: str, mine: str, item: QueuePublish) -> str:
            held = await holder_of(place.states, topic, key, mine)
            if held != mine:
                await self._finish(place, topic, held, item)
            return held

        holders = await together(hold(key, mine, item) for key, (mine, item) in of_key.items())
        by_key: dict[str | None, str] = dict(zip(of_key, holders, strict=True))
        return [by_key.get(item.idempotency_key, mine) for mine, item in items]

    async def _finish(self, place: PlanQueue, topic: str, message_id: str, item: QueuePublish) -> None:
        """Whoever had the key first may have died before the message was there: then this is the message."""
        where = topic_hash(topic)
        if message_id in place.turns or await place.messages.has(key_of(where, message_id)):
            return
        if not await place.states.has(f"s:{message_id}:1"):
            await place.messages.claim(key_of(where, message_id), pack_body(item.body))
            place.turns.put(where, first_turn(message_id))

    async def _add(self, place: PlanQueue, topic: str, fresh: dict[str, QueuePublish]) -> None:
        where = topic_hash(topic)
        await place.messages.put_all({key_of(where, each): pack_body(item.body) for each, item in fresh.items()})
        place.depth[where] += len(fresh)
        turns = [first_turn(each) for each in fresh]
        for turn in turns:
            if Facts.of(turn.message_id).delay_s:
                place.turns.put(where, turn)
        await self._hint(place, where, [each for each in turns if each.message_id not in place.turns])

    async def _hint(self, place: PlanQueue, where: str, turns: Sequence[Turn]) -> None:
        """Tell all replicas that these turns have come; a hint that is lost is made up for here."""
        at_us = to_us(self._clock.now()) + _HINT_GRACE_US
        try:
            if turns:
                await place.hints.put(where, [turn.hint() for turn in turns])
        except TheoryError:
            at_us = 0
        for turn in turns:
            if turn.number or not at_us:
                place.turns.put(where, turn, at_us)

    async def _settled(
        self,
        plan_id: str,
        items: Sequence[tuple[str, T]],
        side: Side,
        settle: Callable[[PlanQueue, Turn, T], Awaitable[Turn | TheoryError]],
    ) -> list[Turn | TheoryError]:
        """What became of each delivery: those of one message one after the other, all others at once."""
        deliveries = [Turn.of_handle(handle, side) for handle, _ in items]
        of_message: dict[str, list[int]] = {}
        for idx, delivery in enumerate(deliveries):
            of_message.setdefault(delivery.message_id, []).append(idx)

        async def settle_all(place: PlanQueue) -> list[Turn | TheoryError]:
            answers: list[Turn | TheoryError] = [refusals.message_unknown()] * len(items)

            async def in_order(idxs: Sequence[int]) -> None:
                for idx in idxs:
                    answers[idx] = await settle(place, deliveries[idx], items[idx][1])

            await together(in_order(idxs) for idxs in of_message.values())
            return answers

        return await self._places.reading(plan_id, settle_all, [refusals.message_unknown() for _ in items])

    def _shown(self, state: State, after_s: int) -> State:
        """The same delivery, visible after so long."""
        visible_us = to_us(self._clock.now()) + after_s * _S_US
        return replace(state, visible_us=visible_us, op=self._ops.new())


def _side(*, dead_letters: bool) -> Side:
    return Side.DEAD if dead_letters else Side.LIVE
