"""What clients do with a queue while it is killed: publish, consume, settle in every way, crash, come late, drain."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

from tests.chaos.asking import Site, ask, unknown
from tests.chaos.history import Operation, Recorder
from tests.chaos.queue_history import Ack, Action, Answer, Consume, Extend, Nack, Promises, Publish, Redrive
from theory.core.adapters import Message, Published, QueueExtend, QueueNack, QueuePublish
from theory.core.clock import Clock

_QueueOperation = Operation[Action, Answer]

_PAUSE_S = 0.02
_IMPATIENCE_S = 0.03
"""A client that gives up does so within this time, often before the answer."""

_LARGE = 9_000
"""More than a page of any store."""

_MOVING_S = 60
"""How long a store that moves in several steps may hide what it moves, if it is killed between them."""


@dataclass(frozen=True)
class Mix:
    """How often clients do what, as shares of 1."""

    keyed: float = 0.9
    delayed: float = 0.02
    large: float = 0.01
    impatient: float = 0.03
    """Calls whose answer nobody waits for."""
    deaf: float = 0.003
    """Consumes whose answer nobody waits for: few, since the judge must allow for what each may have held."""
    crash: float = 0.03
    """Batches that a consumer takes with it."""
    nack: float = 0.03
    extend: float = 0.03
    slow: float = 0.05
    """Batches that are worked on for the better part of their time."""
    late: float = 0.03
    """Batches that are acknowledged when their time is over."""
    hasty: float = 0.02
    """Batches whose acknowledgement nobody waits for, and is sent again."""


PLAIN = Mix()

ROUGH = Mix(crash=0.06, nack=0.06, extend=0.12, slow=0.1, late=0.15)
"""For a short run that must meet everything."""

BRITTLE = Mix(crash=0.15, nack=0.25, late=0.05)
"""For a topic with dead letters."""


class QueueWork:
    """The clients of one topic, and the history that they write."""

    def __init__(
        self,
        site: Site,
        promises: Promises,
        *,
        clock: Clock,
        chance: Random,
        plan_id: str = "p-chaos",
        topic: str = "work",
        mix: Mix = PLAIN,
        batch: int = 100,
        backlog: int = 3_000,
        slack_s: float = 0.5,
        redrives: bool = True,
    ) -> None:
        self._site = site
        self.promises = promises
        """What the store claims."""
        self._clock = clock
        self._chance = chance
        self._place = (plan_id, topic)
        self._mix = mix
        self._batch = batch
        self._backlog = backlog
        self._slack_s = slack_s
        self._redrives = redrives
        self._recorder: Recorder[Action, Answer] = Recorder(clock.monotonic)
        self._hidden_until = 0.0
        self.published = 0
        self.acknowledged = 0
        self.publishing = True
        self.consuming = True

    @property
    def history(self) -> list[_QueueOperation]:
        """What was asked and answered so far."""
        return self._recorder.history

    async def produce(self, name: str) -> None:
        """Publish, as long as consumers can follow."""
        number = 0
        while self.publishing:
            if self.published - self.acknowledged > self._backlog:
                await self._clock.sleep(_PAUSE_S)
                continue
            batch = [self._fresh(f"{name}-{number + idx}") for idx in range(self._chance.randint(1, self._batch))]
            number += len(batch)
            await self._publish(name, batch)

    def _fresh(self, name: str) -> Publish:
        keyed = self.promises.keys and self._chance.random() < self._mix.keyed
        body = name.encode() + bytes(_LARGE if self._chance.random() < self._mix.large else 0)
        return Publish(body, name if keyed else None, int(self._chance.random() < self._mix.delayed))

    async def _publish(self, name: str, batch: Sequence[Publish]) -> None:
        most, left = self.promises.max_receives, list(batch)
        while left:
            items = [QueuePublish(each.body, each.key, each.delay_s) for each in left]
            operations = await self._asked(
                name,
                left,
                partial(self._site.queue.publish_many, *self._place, items, max_receives=most),
                self._limit_s(),
            )
            self._hide(max(each.delay_s for each in left))
            self.published += sum(each.ok for each in operations)
            unsure = [each for each, operation in zip(left, operations, strict=True) if unknown(operation)]
            # With its key a message is sent until it is there; without, it may be there twice.
            left = [each for each in unsure if each.key is not None or self._chance.random() < 0.5]

    async def consume(self, name: str) -> None:
        """Take messages and do with them what consumers do, until told to stop."""
        life = 0
        while self.consuming:
            process = f"{name}.{life}"
            visibility_s = self._chance.choice((1, 1, 2, 3))
            messages = await self._take(process, self._chance.choice((1, 10, 30, 30)), visibility_s)
            if not messages:
                await self._clock.sleep(_PAUSE_S)
                continue
            life += await self._work(process, messages, visibility_s)

    async def _work(self, process: str, messages: Sequence[Message], visibility_s: int) -> bool:
        """Do something with each message; whether the consumer crashed with them."""
        mix, dice = self._mix, self._chance.random()
        if (dice := dice - mix.crash) < 0:
            await self._ack(process, messages[: self._chance.randrange(len(messages))])
            return True
        if (dice := dice - mix.nack) < 0:
            await self._nack(process, messages, self._chance.choice((0, 0, 1)))
            return False
        if (dice := dice - mix.extend) < 0:
            await self._extend(process, messages, self._chance.choice((1, 3, 5)))
            await self._clock.sleep(self._chance.random() * 2)
        elif (dice := dice - mix.slow) < 0:
            await self._clock.sleep(visibility_s * self._chance.random())
        elif (dice := dice - mix.late) < 0:
            await self._clock.sleep(visibility_s + self._chance.random())
            await self._come_late(process, messages)
            return False
        elif (dice := dice - mix.hasty) < 0:
            await self._ack(process, messages, self._chance.random() * _IMPATIENCE_S)
        await self._ack(process, messages)
        return False

    async def _come_late(self, process: str, messages: Sequence[Message]) -> None:
        """Settle what somebody else may hold by now."""
        dice = self._chance.random()
        if dice < 0.4:
            await self._nack(process, messages, 0)
        elif dice < 0.7:
            await self._extend(process, messages, 1)
        else:
            await self._ack(process, messages)

    async def bury(self, name: str) -> None:
        """Take dead letters: bring some back, forget some, drop some."""
        while self.consuming:
            messages = await self._take(name, 10, 2, dead=True)
            dice = self._chance.random()
            if messages and dice < 0.4 and self._redrives:
                await self._redrive(name, messages)
            elif messages and dice < 0.8:
                await self._ack(name, messages)
            await self._clock.sleep(self._chance.random())

    async def drain(self, name: str = "drain", *, limit_s: float = 120.0) -> None:
        """With the faults over: take and acknowledge what there is, until every window is over and nothing comes.

        `TimeoutError` where there is still something after `limit_s` seconds.
        """
        ends = self._clock.monotonic() + limit_s
        for dead in (False, True) if self.promises.max_receives else (False,):
            while True:
                began = self._clock.monotonic()
                messages = await self._take(name, 30, 10, dead=dead, patient=True)
                if began > ends:
                    raise TimeoutError("the topic did not drain")
                if messages:
                    await self._ack(name, messages)
                elif began > self._hidden_until + self._slack_s:
                    break
                else:
                    await self._clock.sleep(0.1)

    async def _take(
        self, process: str, count: int, visibility_s: int, *, dead: bool = False, patient: bool = False
    ) -> Sequence[Message]:
        plan_id, topic = self._place
        wait_s = self._chance.choice((0, 0, 0, 1))
        operation = self._recorder.invoke(process, Consume(count, visibility_s, dead))

        async def consume() -> Sequence[object]:
            found = await self._site.queue.consume(
                plan_id=plan_id,
                topic=topic,
                max_messages=count,
                visibility_timeout_s=visibility_s,
                wait_s=wait_s,
                dead_letters=dead,
            )
            return [tuple(found)]

        limit_s = None if patient else self._limit_s(self._mix.deaf)
        await ask(self._recorder, [operation], consume, _taken, limit_s=limit_s)
        if not patient or not operation.ok:
            self._hide(visibility_s)
        if unknown(operation):
            await self._site.back()
        return operation.answer if isinstance(operation.answer, tuple) else ()

    async def _ack(self, process: str, messages: Sequence[Message], limit_s: float | None = None) -> None:
        if not messages:
            return
        handles = [each.receipt_handle for each in messages]
        operations = await self._asked(
            process, [Ack(each) for each in handles], lambda: self._site.queue.ack_many(*self._place, handles), limit_s
        )
        self.acknowledged += sum(each.ok for each in operations)

    async def _nack(self, process: str, messages: Sequence[Message], after_s: int) -> None:
        items = [QueueNack(each.receipt_handle, after_s) for each in messages]
        actions = [Nack(each.receipt_handle, after_s) for each in messages]
        await self._asked(process, actions, lambda: self._site.queue.nack_many(*self._place, items), self._limit_s())
        self._hide(after_s)

    async def _extend(self, process: str, messages: Sequence[Message], after_s: int) -> None:
        items = [QueueExtend(each.receipt_handle, after_s) for each in messages]
        actions = [Extend(each.receipt_handle, after_s) for each in messages]
        await self._asked(process, actions, lambda: self._site.queue.extend_many(*self._place, items), self._limit_s())
        self._hide(after_s)

    async def _redrive(self, process: str, messages: Sequence[Message]) -> None:
        handles = [each.receipt_handle for each in messages]
        actions = [Redrive(each) for each in handles]
        operations = await self._asked(
            process, actions, lambda: self._site.queue.redrive_many(*self._place, handles), self._limit_s()
        )
        if not self.promises.moves and any(unknown(each) for each in operations):
            self._hide(_MOVING_S)

    async def _asked(
        self,
        process: str,
        actions: Sequence[Action],
        call: Callable[[], Awaitable[Sequence[object]]],
        limit_s: float | None = None,
    ) -> list[_QueueOperation]:
        operations = [self._recorder.invoke(process, each) for each in actions]
        await ask(self._recorder, operations, call, _published, limit_s=limit_s)
        if any(unknown(each) for each in operations):
            await self._site.back()
        return operations

    def _limit_s(self, share: float | None = None) -> float | None:
        hasty = self._chance.random() < (self._mix.impatient if share is None else share)
        return self._chance.random() * _IMPATIENCE_S if hasty else None

    def _hide(self, s: float) -> None:
        self._hidden_until = max(self._hidden_until, self._clock.monotonic() + s)


def _taken(answer: object) -> tuple[Message, ...] | None:
    return answer if isinstance(answer, tuple) else None


def _published(answer: object) -> Published | None:
    return answer if isinstance(answer, Published) else None
