"""The port of queues on SQS: what it keeps by itself, and what has to be made up for."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from services.drivers import aws
from services.drivers.moments import to_us
from services.drivers.opening import Opening
from services.drivers.teller import Teller
from services.resources.queue.adapters import delivery, refusals
from services.resources.queue.adapters.sqs.batches import MAX_BATCH, Answer, Batches, Received, Refused, unheard
from services.resources.queue.adapters.sqs.keys import Outcome, RecentKeys, Where
from services.resources.queue.adapters.sqs.messages import Delivery, HandedOut, Letter
from services.resources.queue.adapters.sqs.queues import Gone, Queues
from services.resources.queue.ports import MAX_BODY_BYTES, MAX_HIDDEN_S, REPLY_BYTES, Consumed, QueueFeature, Wake
from theory.core.adapters import Message, Published, QueueExtend, QueueNack, QueuePublish, TopicStats
from theory.core.errors import NotReady, TheoryError
from theory.core.scratch import queue_published, queue_retry

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_T = TypeVar("_T")

_FACTS_S = 30.0
_MAX_PLANS = 10_000
_MOVING_S = 60
_MARGIN_S = 5
"""The clocks of AWS and of this machine differ by less."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Plan:
    ended: bool
    event_every: int
    good_until: float
    """When to ask AWS again."""


class SqsQueue:
    """Delivered at least once, by AWS's clock.

    Weaker than the common promises, as its features say: an idempotency key holds within one process; a handle that no
    longer counts may be answered OK; a redrive sends and then removes; counts are about right; there are no quotas but
    AWS's own. SQS moves dead letters by itself and tells nobody: there is no event of it. A message lives for 14 days,
    and is hidden for 12 hours from its delivery at most, however often that is extended.
    """

    kind = "sqs"
    durable = True
    features = frozenset({QueueFeature.STABLE})
    redelivery_slack_s = 1

    def __init__(self, client: "aws.Client[SQSClient]", queues: Queues, opening: Opening, *, poll_s: int) -> None:
        self._batches = Batches(client)
        self._queues = queues
        self._clock = opening.clock
        self._ids = opening.ids
        self._teller = Teller("queue", opening)
        self._poll_s = poll_s
        self._keys = RecentKeys(opening.clock)
        self._dead = HandedOut()
        self._plans: OrderedDict[str, _Plan] = OrderedDict()

    def subscribe(self, wake: Wake) -> None:
        """SQS tells nobody."""

    async def publish_many(
        self, plan_id: str, topic: str, items: Sequence[QueuePublish], max_receives: int | None
    ) -> list[Published | TheoryError]:
        plan = await self._open_plan(plan_id)
        now = self._clock.now()
        fresh: dict[int, Letter] = {}
        claimed: dict[int, tuple[Where, Outcome]] = {}
        known: dict[int, Outcome] = {}
        for idx, message_id in enumerate(delivery.new_message_ids(now, len(items), self._ids)):
            key = items[idx].idempotency_key
            if key is not None:
                where = (plan_id, topic, key)
                if outcome := self._keys.find(where):
                    known[idx] = outcome
                    continue
                claimed[idx] = (where, self._keys.claim(where))
            fresh[idx] = Letter.of(message_id, now, items[idx].delay_s, items[idx].body)
        answers: dict[int, Published | TheoryError] = {}
        try:
            url = await self._place(plan_id, topic, max_receives)
            sent = await self._send(plan_id, topic, url, [(each, items[idx].delay_s) for idx, each in fresh.items()])
            for (idx, letter), refused in zip(fresh.items(), sent, strict=True):
                answers[idx] = refused or Published(letter.message_id)
        finally:
            for idx, (where, outcome) in claimed.items():
                self._keys.settle(where, outcome, answers.get(idx) or unheard())
        for idx, outcome in known.items():
            first = await outcome
            answers[idx] = first if isinstance(first, TheoryError) else Published(first.message_id, duplicate=True)
        if plan.event_every and (added := [idx for idx in fresh if isinstance(answers[idx], Published)]):
            depth = sum(await self._queues.counts(url))
            told = [queue_published(topic, len(items[idx].body), depth) for idx in added]
            self._teller.tell(plan_id, told, every=plan.event_every)
        return [answers[idx] for idx in range(len(items))]

    async def consume(
        self, *, plan_id: str, topic: str, dead_letters: bool, max_messages: int, visibility_timeout_s: int
    ) -> Consumed:
        url = await self._find(plan_id, topic, dead_letters=dead_letters)
        messages: list[Message] = []
        room = REPLY_BYTES
        while url and (most := min(MAX_BATCH, max_messages - len(messages), room // MAX_BODY_BYTES)) > 0:
            wait_s = 0 if messages else self._poll_s
            try:
                received = await self._batches.receive(url, most, visibility_timeout_s, wait_s)
            except Gone:
                self._queues.forget(plan_id, topic)
                break
            except TheoryError:
                if messages:
                    break  # they are hidden from everyone else by now
                raise
            handed_out = [await self._handed_out(url, each, dead_letters=dead_letters) for each in received]
            messages += filter(None, handed_out)
            room = REPLY_BYTES - sum(len(each.body) for each in messages)
            if len(received) < most:
                break
        return Consumed(messages)

    async def ack_many(
        self, plan_id: str, topic: str, receipt_handles: Sequence[str], *, dead_letters: bool
    ) -> list[TheoryError | None]:
        deliveries = {handle: Delivery.read(handle).receipt for handle in receipt_handles}
        answers = await self._settled(plan_id, topic, deliveries, self._batches.delete, dead_letters=dead_letters)
        done: set[str] = set()
        in_order: list[TheoryError | None] = []
        for handle in receipt_handles:
            answer = answers[handle]
            if handle in done:
                in_order.append(refusals.message_unknown())
            else:
                in_order.append(answer if isinstance(answer, TheoryError) else None)
            if answer is None:
                done.add(handle)
                self._dead.pop(handle)
        return in_order

    async def nack_many(
        self, plan_id: str, topic: str, items: Sequence[QueueNack], *, dead_letters: bool
    ) -> list[TheoryError | None]:
        wanted = {item.receipt_handle: item.delay_s for item in items}
        answers = await self._show(plan_id, topic, wanted, dead_letters=dead_letters)
        plan = self._plans.get(plan_id)
        if plan is not None and plan.event_every:
            given_back = [item for item in items if answers[item.receipt_handle] is None]
            counts = [Delivery.read(item.receipt_handle).receive_count for item in given_back]
            retries = zip(given_back, counts, strict=True)
            told = [queue_retry(topic, item.delay_s, count) for item, count in retries]
            self._teller.tell(plan_id, told, every=plan.event_every)
        return [answers[item.receipt_handle] for item in items]

    async def extend_many(
        self, plan_id: str, topic: str, items: Sequence[QueueExtend], *, dead_letters: bool
    ) -> list[TheoryError | None]:
        wanted = {item.receipt_handle: item.visibility_timeout_s for item in items}
        answers = await self._show(plan_id, topic, wanted, dead_letters=dead_letters)
        return [answers[item.receipt_handle] for item in items]

    async def redrive_many(self, plan_id: str, topic: str, receipt_handles: Sequence[str]) -> list[TheoryError | None]:
        """No handle of SQS gives the body again, so a process can bring back only what it handed out itself.

        Any other dead letter becomes visible at once and is answered `RECEIPT_SUPERSEDED`: consume it again, then this
        handle of it.
        """
        url = await self._find(plan_id, topic, dead_letters=False)
        if url is None:
            return [refusals.message_unknown() for _ in receipt_handles]
        letters = {handle: self._dead.get(handle) for handle in receipt_handles}
        wanted = {handle: _MOVING_S if letter else 0 for handle, letter in letters.items()}
        held = await self._show(plan_id, topic, wanted, dead_letters=True)
        answers = {handle: answer or _superseded() for handle, answer in held.items()}
        moving = {handle: letter for handle, letter in letters.items() if letter and held[handle] is None}
        sent = await self._send(plan_id, topic, url, [(letter.again(), 0) for letter in moving.values()])
        moved = [handle for handle, refused in zip(moving, sent, strict=True) if refused is None]
        outcome: dict[str, TheoryError | None] = {**answers, **dict(zip(moving, sent, strict=True))}
        # What cannot be removed now is in both places, and comes up among the dead letters once more.
        await self.ack_many(plan_id, topic, moved, dead_letters=True)
        return [outcome[handle] for handle in receipt_handles]

    async def stats(self, plan_id: str) -> list[TopicStats]:
        if self._ended(plan_id):
            return []
        topics = sorted((await self._queues.topics(plan_id)).items())
        counts = await asyncio.gather(*(self._queues.counts(url) for _, urls in topics for url in urls))
        return [
            TopicStats(topic, *live, dead=sum(dead))
            for (topic, _), live, dead in zip(topics, counts[::2], counts[1::2], strict=True)
        ]

    async def begin_plan(self, plan_id: str, event_every: int) -> None:
        plan = await self._open_plan(plan_id)
        if plan.event_every != event_every:
            await self._queues.begin(plan_id, event_every)
            plan.event_every = event_every

    async def end_plan(self, plan_id: str) -> None:
        await self._queues.end(plan_id)
        self._teller.forget(plan_id)
        self._remember(plan_id, _Plan(ended=True, event_every=0, good_until=float("inf")))

    async def _open_plan(self, plan_id: str) -> _Plan:
        now = self._clock.monotonic()
        plan = self._plans.get(plan_id)
        if plan is None or plan.good_until <= now:
            plan = await self._looked_up(plan_id, plan or _Plan(ended=False, event_every=0, good_until=now))
        if plan.ended:
            raise refusals.plan_ended(plan_id)
        return plan

    async def _looked_up(self, plan_id: str, plan: _Plan) -> _Plan:
        before, plan.good_until = plan.good_until, self._clock.monotonic() + _FACTS_S  # one asks, the others go on
        try:
            facts = await self._queues.facts(plan_id)
        except BaseException:
            plan.good_until = before
            raise
        plan = self._plans.setdefault(plan_id, plan)
        if not plan.ended:  # nothing undoes that, not even an answer of AWS that is a moment old
            plan.ended, plan.event_every = facts.ended, facts.event_every
        self._remember(plan_id, plan)
        return plan

    def _remember(self, plan_id: str, plan: _Plan) -> None:
        self._plans[plan_id] = plan
        while len(self._plans) > _MAX_PLANS:
            self._plans.popitem(last=False)

    def _ended(self, plan_id: str) -> bool:
        plan = self._plans.get(plan_id)
        return plan is not None and plan.ended

    async def _place(self, plan_id: str, topic: str, max_receives: int | None) -> str:
        return (await self._queues.place(plan_id, topic, max_receives)).url

    async def _find(self, plan_id: str, topic: str, *, dead_letters: bool) -> str | None:
        # A deleted queue may go on for a minute: what is known to be over is over.
        if self._ended(plan_id):
            return None
        return await self._queues.find(plan_id, topic, dead_letters=dead_letters)

    async def _send(
        self, plan_id: str, topic: str, url: str, letters: Sequence[tuple[Letter, int]]
    ) -> list[TheoryError | None]:
        try:
            return await self._batches.send(url, letters)
        except Gone:
            # Another replica ended the plan; or AWS does not know a new queue yet.
            self._queues.forget(plan_id, topic)
            if plan := self._plans.get(plan_id):
                plan.good_until = self._clock.monotonic()
            await self._open_plan(plan_id)
            raise unheard() from None

    async def _handed_out(self, url: str, received: Received, *, dead_letters: bool) -> Message | None:
        letter, now = received.letter, self._clock.now()
        if letter is None:
            _log.warning("sqs.foreign", extra={"theory_fields": {"queue": url}})
            return None
        if not dead_letters and (early_s := letter.early_s(now)):
            # Sent again instead of hidden: to hide it would count as a delivery towards `max_receives`.
            if await self._batches.send(url, [(letter, early_s)]) == [None]:
                await self._batches.delete(url, [received.receipt])
            return None
        given = Delivery(letter.message_id, received.receive_count, to_us(now) // 1_000_000, received.receipt)
        if dead_letters:
            self._dead.put(given.handle, letter)
        return Message(letter.message_id, letter.body, given.handle, given.receive_count, letter.publish_time)

    async def _show(
        self, plan_id: str, topic: str, wanted: Mapping[str, int], *, dead_letters: bool
    ) -> dict[str, TheoryError | None]:
        """Make deliveries visible in so many seconds."""
        now_s = to_us(self._clock.now()) // 1_000_000
        most_s = MAX_HIDDEN_S - _MARGIN_S
        deliveries = {}
        for handle, seconds in wanted.items():
            given = Delivery.read(handle)
            deliveries[handle] = (given.receipt, max(0, min(seconds, given.receive_s + most_s - now_s)))
        answers = await self._settled(plan_id, topic, deliveries, self._batches.show, dead_letters=dead_letters)
        return {handle: _shown(answer, wanted[handle]) for handle, answer in answers.items()}

    async def _settled(
        self,
        plan_id: str,
        topic: str,
        deliveries: Mapping[str, _T],
        settle: Callable[[str, Sequence[_T]], Awaitable[list[Answer]]],
        *,
        dead_letters: bool,
    ) -> dict[str, Answer]:
        """What SQS answers of each delivery, by its handle."""
        url = await self._find(plan_id, topic, dead_letters=dead_letters) if deliveries else None
        if url is not None:
            try:
                return dict(zip(deliveries, await settle(url, list(deliveries.values())), strict=True))
            except Gone:
                self._queues.forget(plan_id, topic)
        return {handle: refusals.message_unknown() for handle in deliveries}


def _shown(answer: Answer, seconds: int) -> TheoryError | None:
    if answer is Refused.VISIBLE and seconds == 0:
        return None
    return _superseded() if isinstance(answer, Refused) else answer


def _superseded() -> NotReady:
    return NotReady("RECEIPT_SUPERSEDED", "the time of this delivery is over; consume the message again")
