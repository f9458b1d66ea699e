"""The judge of queues: by the history of one topic that was drained, which promise was broken.

A total queue loses nothing and invents nothing: with the faults over and the topic drained, every acknowledged message
was acknowledged by a consumer, and every delivered one was published. Beside that stand the promises on single
messages: windows, fences, counts, keys, delays, dead letters.

Clients see intervals, not moments. A promise counts as broken only where no order of events within them keeps it, so a
verdict may miss a fault but never invents one. Deliveries of which the answer was lost are seen by nobody: every
judgement allows for as many of them as there are consumes whose outcome is unknown.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.chaos.history import Findings, Violation
from tests.chaos.queue_history import (
    Ack,
    Delivery,
    Index,
    Promises,
    QueueOperation,
    Redrive,
    Story,
    by_message,
    settled,
)
from theory.core.adapters import Published

SUPERSEDED = "RECEIPT_SUPERSEDED"
GONE = "MESSAGE_UNKNOWN"


@dataclass(frozen=True)
class QueueReport:
    """What one history of one topic holds, and which promises it breaks."""

    acknowledged: int
    """Messages of which the store said that it has them."""
    delivered: int
    """Messages that were seen at least once."""
    deliveries: int
    recovered: int
    """Messages that were delivered though their publish was never answered: allowed."""
    dead: int
    """Messages that were seen among the dead letters."""
    counts: Counter[str]
    """How often each promise was broken."""
    violations: tuple[Violation, ...]
    """The first of each kind, with evidence."""

    @property
    def duplicates(self) -> int:
        """Deliveries beyond the first of each message: allowed, at least once is the promise."""
        return self.deliveries - self.delivered

    @property
    def valid(self) -> bool:
        """Whether every promise was kept."""
        return not self.counts


def check(history: Sequence[QueueOperation], promises: Promises) -> QueueReport:
    """Judge a history that ends with a drain: every window over, then consumed and acknowledged until nothing came."""
    index = Index(history)
    judge = _Judge(index, promises)
    for story in index.stories.values():
        judge.judge(story)
    stories = index.stories.values()
    return QueueReport(
        acknowledged=sum(story.acknowledged for story in stories),
        delivered=sum(bool(story.deliveries) for story in stories),
        deliveries=sum(len(story.deliveries) for story in stories),
        recovered=sum(bool(story.deliveries) and not story.acknowledged for story in stories),
        dead=sum(any(each.dead for each in story.deliveries) for story in stories),
        counts=judge.findings.counts,
        violations=tuple(judge.findings.kept),
    )


class _Judge:
    def __init__(self, index: Index, promises: Promises) -> None:
        self._index = index
        self._promises = promises
        self.findings = Findings()

    def judge(self, story: Story) -> None:
        self._judge_publishing(story)
        if self._promises.keys and story.asked.key is not None:
            self._judge_key(story)
        for deliveries in by_message(story.deliveries):
            redrives = settled(deliveries, Redrive)
            # Counts tell the order of two deliveries whose answers crossed; after a redrive they begin again.
            counted = self._promises.counts and not redrives
            deliveries.sort(key=lambda each: (each.dead, each.count) if counted else (False, each.consume.returned))
            if counted:
                self._judge_counts(story, deliveries)
            elif self._promises.counts:
                self._judge_counts_with_redrives(story, deliveries, len(redrives))
            self._judge_windows(story, deliveries, redrives, counted=counted)
            self._judge_acks(story, deliveries)
            if self._promises.fenced:
                self._judge_fences(story, deliveries)
            if not redrives:
                self._judge_dead_letters(story, deliveries)

    def _add(self, kind: str, sentence: str, story: Story) -> None:
        self.findings.add(kind, sentence, story.lines())

    def _judge_publishing(self, story: Story) -> None:
        possible = [each for each in story.tries if each.possible]
        if story.acknowledged and not settled(story.deliveries, Ack):
            how = "delivered, never acknowledged, and gone in the end" if story.deliveries else "never delivered"
            self._add("lost", f"{story.name} was acknowledged by the store, {how}", story)
        if not story.deliveries:
            return
        if not possible:
            self._add("unexpected", f"{story.name} was delivered but never published", story)
            return
        due = min(each.invoked for each in possible) + story.asked.delay_s
        if any(each.consume.returned < due - self._promises.tolerance_s for each in story.deliveries):
            what = "before its delay was over" if story.asked.delay_s else "before it was published"
            self._add("early", f"{story.name} was delivered {what}", story)
        named = {each.answer.message_id for each in story.tries if isinstance(each.answer, Published)}
        seen = {each.message.message_id for each in story.deliveries}
        if len(seen - named) > sum(not each.ok for each in possible):
            self._add("unexpected", f"{story.name} was delivered as more messages than were published", story)

    def _judge_key(self, story: Story) -> None:
        published = [each.answer for each in story.tries if isinstance(each.answer, Published)]
        ids = {each.message_id for each in published} | {each.message.message_id for each in story.deliveries}
        if len(ids) > 1:
            self._add("key", f"{story.name} has one idempotency key and {len(ids)} ids", story)
        elif sum(not each.duplicate for each in published) > 1:
            self._add("key", f"{story.name} was said to be new more than once", story)

    def _judge_counts(self, story: Story, deliveries: Sequence[Delivery]) -> None:
        last, since = 0, min((each.invoked for each in story.tries), default=0.0)
        for before, each in zip((None, *deliveries), deliveries, strict=False):
            if before is not None and before.dead is each.dead and each.count == before.count:
                self._add("count", f"delivery {last} of {each.message.message_id} was handed out twice", story)
            elif each.dead and (before is None or not before.dead):
                pass  # where the count of a dead letter begins is the store's business
            elif each.count - last - 1 > self._index.lost_answers(since, each.consume.returned, dead=each.dead):
                what = f"delivery {each.count} of {each.message.message_id} came after delivery {last}"
                self._add("count", f"{what}, and too few answers were lost between", story)
            last, since = each.count, each.consume.invoked

    def _judge_counts_with_redrives(self, story: Story, deliveries: Sequence[Delivery], redrives: int) -> None:
        for (_, count), times in Counter((each.dead, each.count) for each in deliveries).items():
            if times > 1 + redrives:
                self._add("count", f"delivery {count} was handed out {times} times, with {redrives} redrives", story)

    def _judge_windows(
        self, story: Story, deliveries: Sequence[Delivery], redrives: Sequence[QueueOperation], *, counted: bool
    ) -> None:
        for one, other in pairwise(deliveries):
            if one.dead and not other.dead:
                continue  # judged as a dead letter
            if any(
                each.invoked <= other.consume.returned and each.returned >= one.consume.invoked for each in redrives
            ):
                continue
            ordered = one.before(other) or (counted and (one.dead, one.count) < (other.dead, other.count))
            if self._within(one, other) and (ordered or self._within(other, one)):
                self._add("overlap", f"{one.message.message_id} was handed out while it was hidden", story)

    def _within(self, one: Delivery, other: Delivery) -> bool:
        """Whether the other delivery, if it came later, certainly fell into this one's window."""
        end = one.earliest_end(other.consume, fenced=self._promises.fenced)
        return other.consume.returned < end - self._promises.tolerance_s

    def _judge_acks(self, story: Story, deliveries: Sequence[Delivery]) -> None:
        """Nothing comes after an acknowledgement that counted."""
        counted = [
            each
            for delivery in deliveries
            for each in delivery.settled
            # A store that does not fence may answer an ack that came late, and do nothing.
            if isinstance(each.action, Ack) and each.ok and (self._promises.fenced or self._timely(delivery, each))
        ]
        if any(ack.before(each.consume) for ack in counted for each in deliveries):
            self._add("resurrected", f"{story.name} was delivered after it was acknowledged", story)

    def _timely(self, delivery: Delivery, settling: QueueOperation) -> bool:
        return settling.returned < delivery.earliest_end(settling, fenced=False) - self._promises.tolerance_s

    def _judge_fences(self, story: Story, deliveries: Sequence[Delivery]) -> None:
        acks = settled(deliveries, Ack)
        takers = [*acks, *settled(deliveries, Redrive)]
        for delivery in deliveries:
            for each in delivery.settled:
                what = f"{type(each.action).__name__.lower()} of delivery {delivery.count}"
                if each.ok and any(delivery.before(newer) and newer.consume.before(each) for newer in deliveries):
                    self._add("fence", f"the {what} was accepted after a newer delivery", story)
                elif each.ok and any(ack.ok and ack.before(each) for ack in acks):
                    self._add("fence", f"the {what} was accepted after an acknowledgement", story)
                elif not each.possible and not self._refusable(delivery, each, deliveries, takers):
                    self._add("refused", f"the {what} was refused ({each.reason}) without a cause", story)

    def _refusable(
        self,
        delivery: Delivery,
        refused: QueueOperation,
        deliveries: Sequence[Delivery],
        takers: Sequence[QueueOperation],
    ) -> bool:
        """Whether something may have happened that takes this delivery's right away."""
        since, until = delivery.consume.invoked, refused.returned
        newer = any(self._index.lost_answers(since, until, dead=dead) for dead in (False, True)) or any(
            each is not delivery and not each.before(delivery) and each.consume.invoked <= until for each in deliveries
        )
        if refused.reason == SUPERSEDED:
            return newer
        most = self._promises.max_receives
        died = most and not delivery.dead and (newer or delivery.count >= most)
        return refused.reason == GONE and (bool(died) or any(each.invoked <= until for each in takers))

    def _judge_dead_letters(self, story: Story, deliveries: Sequence[Delivery]) -> None:
        live = [each for each in deliveries if not each.dead]
        dead = [each for each in deliveries if each.dead]
        most = self._promises.max_receives
        if most and self._promises.counts and any(each.count > most for each in live):
            self._add("max_receives", f"{story.name} was delivered more than {most} times", story)
        if not dead:
            return
        since = min((each.invoked for each in story.tries), default=0.0)
        first = min(each.consume.returned for each in dead)
        seen = sum(each.consume.invoked <= first for each in live)
        if not most or seen + self._index.lost_answers(since, first, dead=False) < most:
            self._add("dead_early", f"{story.name} died after at most {seen} of {most} deliveries", story)
        if self._promises.moves and any(one.before(each) for one in dead for each in live):
            self._add("dead_alive", f"{story.name} was delivered after it had died", story)
