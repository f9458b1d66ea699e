"""What the conformance cases cannot see of SQS and Secrets Manager: replicas, outages, strangers, and the reaper."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import boto3
import pytest

from services.drivers import aws
from services.drivers.opening import Opening
from services.resources.queue.adapters import sqs
from services.resources.queue.adapters.sqs.batches import Batches
from services.resources.queue.adapters.sqs.messages import Letter
from services.resources.queue.adapters.sqs.names import Names
from services.resources.queue.adapters.sqs.queues import Queues
from services.resources.queue.adapters.sqs.reaper import Reaper
from services.resources.queue.ports import QueueQuotas, QueueStore
from services.resources.secrets.adapters import aws as aws_secrets
from tests.servers import AWS_REGION, AWS_VARIABLES, AWSEmulator
from theory.core.adapters import Message, Published, QueueNack, QueuePublish, TopicStats
from theory.core.clock import Clock, FakeClock, SystemClock
from theory.core.errors import AlreadyExists, NotReady, TheoryError, Unavailable
from theory.core.ids import SystemIds
from theory.core.ledger import PlanEvent
from theory.core.scratch import ENDED_KEPT

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

pytestmark = pytest.mark.slow

_TOPIC = "work"


@pytest.fixture(scope="module")
def emulator() -> Iterator[AWSEmulator]:
    with pytest.MonkeyPatch.context() as patch, AWSEmulator() as server:
        for name, value in AWS_VARIABLES.items():
            patch.setenv(name, value)
        yield server


class Replica(NamedTuple):
    """One process of the service."""

    store: QueueStore
    events: list[PlanEvent]

    async def publish(self, plan_id: str, *bodies: bytes, max_receives: int | None = None) -> None:
        items = [QueuePublish(body) for body in bodies]
        answers = await self.store.publish_many(plan_id, _TOPIC, items, max_receives)
        assert all(isinstance(each, Published) for each in answers)

    async def consume(self, plan_id: str, *, dead_letters: bool = False, timeout_s: int = 30) -> list[Message]:
        consumed = await self.store.consume(
            plan_id=plan_id,
            topic=_TOPIC,
            dead_letters=dead_letters,
            max_messages=30,
            visibility_timeout_s=timeout_s,
        )
        return consumed.messages


StartReplica = Callable[..., Awaitable[Replica]]


@pytest.fixture
async def started(emulator: AWSEmulator) -> AsyncIterator[StartReplica]:
    async with AsyncExitStack() as stack:

        async def start(name: str = "test", clock: Clock | None = None) -> Replica:
            events: list[PlanEvent] = []
            opening = _opening(clock or SystemClock(), events)
            stack.push_async_callback(opening.close)
            url = f"sqs://{AWS_REGION}?endpoint={emulator.url}&name={name}&poll_s=0"
            store = await sqs.open(url, opening, QueueQuotas())
            await opening.ready()
            return Replica(store, events)

        yield start


def _opening(clock: Clock, events: list[PlanEvent]) -> Opening:
    async def append(_: Sequence[PlanEvent]) -> Sequence[TheoryError]:
        return []

    return Opening(clock, SystemIds(clock), append, events.extend)


@pytest.fixture
def raw(emulator: AWSEmulator) -> "SQSClient":
    return boto3.client("sqs", region_name=AWS_REGION, endpoint_url=emulator.url)


async def test_replicas_share_topics_and_know_of_each_others_plans(started: StartReplica) -> None:
    one, two = await started(), await started()
    await one.store.begin_plan("shared", 2)
    await one.publish("shared", b"1", max_receives=3)
    with pytest.raises(AlreadyExists, match="max_receives 3"):
        await two.publish("shared", b"2", max_receives=4)
    await two.publish("shared", b"2")
    await two.publish("shared", b"3")
    assert sorted(each.body for each in await one.consume("shared")) == [b"1", b"2", b"3"]
    assert await two.store.stats("shared") == [TopicStats(_TOPIC, hidden=3)]
    assert (len(one.events), len(two.events)) == (0, 1)
    assert two.events[0].event.body == {"topic": _TOPIC, "bytes": 1, "approx_size": 3}
    await one.store.end_plan("shared")
    with pytest.raises(NotReady, match="has ended"):
        await two.publish("shared", b"4")
    assert await two.consume("shared") == []
    with pytest.raises(NotReady, match="has ended"):
        await (await started()).store.begin_plan("shared", 1)


async def test_of_replicas_that_publish_first_at_once_one_fixes_max_receives(started: StartReplica) -> None:
    replicas = [await started() for _ in range(4)]
    items = [QueuePublish(b"")]
    answers = await asyncio.gather(
        *(each.store.publish_many("race", _TOPIC, items, figure) for figure, each in enumerate(replicas, 1)),
        return_exceptions=True,
    )
    assert sum(isinstance(each, list) for each in answers) == 1
    assert sum(isinstance(each, AlreadyExists) for each in answers) == 3
    assert len(await replicas[0].consume("race")) == 1


async def test_the_latest_sampling_counts(started: StartReplica) -> None:
    one = await started()
    for every in (1, 5, 0):
        await one.store.begin_plan("sampled", every)
        other = await started()
        await other.publish("sampled", *[b""] * 5)
        assert len(other.events) == (5 // every if every else 0)


async def test_a_dead_letter_of_another_replica_is_shown_again(started: StartReplica) -> None:
    one, two = await started(), await started()
    await one.publish("dead", b"body", max_receives=1)
    [delivered] = await one.consume("dead")
    assert await one.store.nack_many("dead", _TOPIC, [QueueNack(delivered.receipt_handle)], dead_letters=False) == [
        None
    ]
    assert await one.consume("dead") == []
    [dead] = await one.consume("dead", dead_letters=True)
    [refused] = await two.store.redrive_many("dead", _TOPIC, [dead.receipt_handle])
    assert isinstance(refused, NotReady)
    [again] = await two.consume("dead", dead_letters=True)
    assert await two.store.redrive_many("dead", _TOPIC, [again.receipt_handle]) == [None]
    assert await one.consume("dead", dead_letters=True) == []
    [back] = await one.consume("dead")
    assert (back.message_id, back.body, back.receive_count) == (dead.message_id, b"body", 1)


async def test_a_message_that_is_too_early_is_put_off_and_not_counted(
    started: StartReplica, emulator: AWSEmulator
) -> None:
    clock = FakeClock()
    replica = await started(clock=clock)
    await replica.publish("delayed", b"now", max_receives=1)
    address = aws.Address.parse(f"sqs://{AWS_REGION}?endpoint={emulator.url}")
    client = await aws.open_sqs(address, threads=1, prefix="th-")
    url = await Queues(client, Names("test")).find("delayed", _TOPIC, dead_letters=False)
    assert url
    letter = Letter.of("0" * 32, clock.now(), 1_000, b"later")
    assert await Batches(client).send(url, [(letter, 0)]) == [None]
    await client.close()
    assert [each.body for each in await replica.consume("delayed")] == [b"now"]
    assert await replica.store.stats("delayed") == [TopicStats(_TOPIC, hidden=1, delayed=1)]


async def test_a_message_that_others_sent_is_passed_over(started: StartReplica, raw: "SQSClient") -> None:
    replica = await started()
    await replica.publish("foreign", b"ours")
    url = raw.get_queue_url(QueueName=Names("test").topic("foreign", _TOPIC, dead_letters=False))["QueueUrl"]
    raw.send_message(QueueUrl=url, MessageBody="theirs")
    assert [each.body for each in await replica.consume("foreign")] == [b"ours"]


async def test_a_queue_that_was_removed_is_made_again(started: StartReplica, raw: "SQSClient") -> None:
    replica = await started()
    await replica.publish("removed", b"1")
    raw.delete_queue(
        QueueUrl=raw.get_queue_url(QueueName=Names("test").topic("removed", _TOPIC, dead_letters=False))["QueueUrl"]
    )
    with pytest.raises(Unavailable):
        await replica.publish("removed", b"2")
    await replica.publish("removed", b"3")
    assert [each.body for each in await replica.consume("removed")] == [b"3"]


async def test_the_reaper_removes_what_ended_plans_left_and_nothing_else(
    started: StartReplica, emulator: AWSEmulator, raw: "SQSClient"
) -> None:
    replica, other = await started("reaped"), await started("other")
    for each in (replica, other):
        await each.publish("over", b"", max_receives=1)
        await each.publish("live", b"", max_receives=1)
        await each.store.end_plan("over")
    names = Names("reaped")
    late = names.topic("over", "late", dead_letters=False)
    raw.create_queue(QueueName=late)
    address = aws.Address.parse(f"sqs://{AWS_REGION}?endpoint={emulator.url}")
    client = await aws.open_sqs(address, threads=4, prefix="th-")
    clock = FakeClock(SystemClock().now())
    reaper = Reaper(Queues(client, names), clock)
    live = {names.topic("live", _TOPIC, dead_letters=dead) for dead in (False, True)}
    await reaper.sweep()
    assert _names(raw, names.deployment) == live | {names.ended("over")}
    clock.advance((ENDED_KEPT + timedelta(minutes=1)).total_seconds())
    reaper.start()
    await clock.until_sleepers(1)
    assert _names(raw, names.deployment) == live
    assert len(_names(raw, Names("other").deployment)) == 3
    await reaper.close()
    await client.close()


async def test_a_secret_is_read_as_it_is_now(emulator: AWSEmulator) -> None:
    raw = boto3.client("secretsmanager", region_name=AWS_REGION, endpoint_url=emulator.url)
    for idx in range(25):
        raw.create_secret(Name=f"theory/NAME_{idx}", SecretString=f"value {idx}")
    raw.create_secret(Name="theory/BINARY", SecretBinary=b"\xff")
    raw.create_secret(Name="OUTSIDE", SecretString="not ours")
    raw.create_secret(Name="theory/DELETED", SecretString="x")
    raw.delete_secret(SecretId="theory/DELETED", RecoveryWindowInDays=7)
    opening = _opening(SystemClock(), [])
    source = await aws_secrets.open(f"aws-secrets://{AWS_REGION}?endpoint={emulator.url}&prefix=theory/", opening)
    await opening.ready()
    assert source.reader
    wanted = [*(f"NAME_{idx}" for idx in range(25)), "BINARY", "OUTSIDE", "DELETED", "MISSING"]
    found = await source.reader.read(wanted)
    assert {name: secret.reveal() for name, secret in found.items()} == {
        f"NAME_{idx}": f"value {idx}" for idx in range(25)
    }
    raw.put_secret_value(SecretId="theory/NAME_7", SecretString="newer")
    assert (await source.reader.read(["NAME_7"]))["NAME_7"].reveal() == "newer"
    await opening.close()


@pytest.mark.drill
async def test_an_outage_is_said_and_gone_when_it_is_over(emulator: AWSEmulator, started: StartReplica) -> None:
    replica = await started("outage")
    await replica.publish("p", b"1")
    emulator.kill()
    try:
        [answer] = await replica.store.publish_many("p", _TOPIC, [QueuePublish(b"2", "key")], None)
        assert isinstance(answer, Unavailable)
        with pytest.raises(Unavailable):
            await replica.consume("p")
    finally:
        emulator.restart()
    with pytest.raises(Unavailable):  # this emulator has forgotten its queues, which the first call finds out
        await replica.publish("p", b"3")
    assert await replica.store.publish_many("p", _TOPIC, [QueuePublish(b"4", "key")], None) != [answer]
    assert [each.body for each in await replica.consume("p")] == [b"4"]


def _names(raw: "SQSClient", prefix: str) -> set[str]:
    return {url.rpartition("/")[2] for url in raw.list_queues(QueueNamePrefix=prefix).get("QueueUrls", [])}
