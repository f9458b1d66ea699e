"""The queues of AWS behind topics: made at the first publish, found by name, gone with their plan."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from weakref import WeakValueDictionary

from botocore.exceptions import ClientError

from services.drivers import aws
from services.resources.queue.adapters import refusals
from services.resources.queue.adapters.sqs.names import Name, Names
from theory.core.errors import Unavailable
from theory.core.jcs import parse

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeFilterType, QueueAttributeNameType

T = TypeVar("T")

_MAX_CACHED = 10_000
_PAGE = 1_000
_TAG_PLAN, _TAG_TOPIC = "theory:plan", "theory:topic"

_ATTRIBUTES: "Mapping[QueueAttributeNameType, str]" = {
    "MessageRetentionPeriod": str(timedelta(days=14) // timedelta(seconds=1)),  # the longest there is
    "MaximumMessageSize": str(1 << 20),
}
_COUNTS: "tuple[QueueAttributeFilterType, ...]" = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
_GONE = frozenset({"NonExistentQueue", "QueueDoesNotExist"})
_OTHERWISE = frozenset({"QueueAlreadyExists", "QueueNameExists"})
_TOO_SOON = frozenset({"QueueDeletedRecently"})


class Gone(Exception):
    """The queue is not there, or not any more."""


class Place(NamedTuple):
    """The queue of a topic."""

    url: str
    max_receives: int


class Counts(NamedTuple):
    """About how many messages a queue holds, as of about a minute ago."""

    visible: int
    hidden: int
    delayed: int


class Facts(NamedTuple):
    """What the names of a plan's queues say about the plan."""

    ended: bool
    event_every: int


class Queues:
    """SQS answers about new and deleted queues with some delay; nothing here takes its first answer for the last."""

    def __init__(self, client: "aws.Client[SQSClient]", names: Names) -> None:
        self._client = client
        self._sqs = client.raw
        self._names = names
        self._places: OrderedDict[tuple[str, str], Place] = OrderedDict()
        self._dead: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def call(self, ask: Callable[[], T]) -> T:
        """Do something with a queue; `Gone` where it is not there."""
        with _gone():
            return await self._client.call(ask)

    async def find(self, plan_id: str, topic: str, *, dead_letters: bool) -> str | None:
        """The URL of the queue; None where there is none."""
        key = (plan_id, topic)
        if not dead_letters and key in self._places:
            return self._places[key].url
        if dead_letters and key in self._dead:
            return self._dead[key]
        url = await self._url(self._names.topic(plan_id, topic, dead_letters=dead_letters))
        if url is not None and dead_letters:
            _keep(self._dead, key, url)
        return url

    async def place(self, plan_id: str, topic: str, max_receives: int | None) -> Place:
        """The queue of a topic, made if need be; `AlreadyExists` (`TOPIC_TAKEN`)."""
        key = (plan_id, topic)
        place = self._places.get(key)
        if place is None:
            # Those who publish first at once wait for one of them.
            lock = self._locks.setdefault(key, asyncio.Lock())
            async with lock:
                place = self._places.get(key) or await self._looked_up(plan_id, topic)
                if place is None:
                    place = await self._made(plan_id, topic, max_receives or 0)
                _keep(self._places, key, place)
        if max_receives is not None and max_receives != place.max_receives:
            raise refusals.topic_taken(place.max_receives)
        return place

    def forget(self, plan_id: str, topic: str) -> None:
        """Look for the queues of the topic again next time."""
        self._places.pop((plan_id, topic), None)
        self._dead.pop((plan_id, topic), None)

    async def facts(self, plan_id: str) -> Facts:
        """What is known about the plan."""
        names = [name async for name, _ in self._listed(f"{self._names.plan(plan_id)}-e")]
        every = [name.event_every for name in names if name.event_every is not None]
        return Facts(any(name.ended for name in names), max(every, default=0))

    async def begin(self, plan_id: str, event_every: int) -> None:
        """Make the names say it."""
        said = self._names.every(plan_id, event_every)
        if event_every:
            await self._create(said, {_TAG_PLAN: plan_id})
        others = [
            url
            async for name, url in self._listed(f"{self._names.plan(plan_id)}-e")
            if name.event_every not in (None, event_every)
        ]
        await self.delete(others)

    async def end(self, plan_id: str) -> None:
        """Make the names say it, then drop all else."""
        await self._create(self._names.ended(plan_id), {_TAG_PLAN: plan_id})
        for key in [key for key in (*self._places, *self._dead) if key[0] == plan_id]:
            self.forget(*key)
        await self.delete([url async for name, url in self._listed(self._names.plan(plan_id)) if not name.ended])

    async def topics(self, plan_id: str) -> dict[str, tuple[str, str | None]]:
        """The URLs of each topic's queue and of its dead letters."""
        found = {name.rest: url async for name, url in self._listed(self._names.plan(plan_id)) if name.topic}
        live = {rest: url for rest, url in found.items() if Name("", rest).live}
        topics = await asyncio.gather(*(self._topic(plan_id, url) for url in live.values()))
        return {
            topic: (url, found.get(f"{rest}-d"))
            for topic, (rest, url) in zip(topics, live.items(), strict=True)
            if topic is not None
        }

    async def counts(self, url: str) -> Counts:
        """How many messages; none where the queue is gone."""
        try:
            attributes = await self._attributes(url, *_COUNTS)
        except Gone:
            return Counts(0, 0, 0)
        return Counts(*(int(attributes.get(name, "0")) for name in _COUNTS))

    async def all(self) -> dict[str, list[tuple[Name, str]]]:
        """Every queue of the deployment with its URL, plan by plan."""
        plans: dict[str, list[tuple[Name, str]]] = {}
        async for name, url in self._listed(self._names.deployment):
            plans.setdefault(name.plan, []).append((name, url))
        return plans

    async def age(self, url: str, now: datetime) -> timedelta:
        """How long ago the queue was made."""
        attributes = await self._attributes(url, "CreatedTimestamp")
        return now - datetime.fromtimestamp(int(attributes["CreatedTimestamp"]), UTC)

    async def delete(self, urls: Iterable[str]) -> None:
        """Delete queues with all that is in them; one that is gone is fine."""
        await asyncio.gather(*(_unless_gone(self.call(lambda url=url: self._deleted(url))) for url in urls))

    def _deleted(self, url: str) -> None:
        self._sqs.delete_queue(QueueUrl=url)

    async def _looked_up(self, plan_id: str, topic: str) -> Place | None:
        url = await self._url(self._names.topic(plan_id, topic, dead_letters=False))
        if url is None:
            return None
        try:
            policy = (await self._attributes(url, "RedrivePolicy")).get("RedrivePolicy")
        except Gone:
            return None
        return Place(url, _max_receives(policy))

    async def _made(self, plan_id: str, topic: str, max_receives: int) -> Place:
        tags = {_TAG_PLAN: plan_id, _TAG_TOPIC: topic}
        attributes = dict(_ATTRIBUTES)
        if max_receives:
            dead = await self._create(self._names.topic(plan_id, topic, dead_letters=True), tags, _ATTRIBUTES)
            arn = (await self._attributes(dead, "QueueArn"))["QueueArn"]
            attributes["RedrivePolicy"] = f'{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"{max_receives}"}}'
        await self._create(self._names.topic(plan_id, topic, dead_letters=False), tags, attributes)
        # Another replica may have made it at the same time, with another figure: what is there counts.
        place = await self._looked_up(plan_id, topic)
        if place is None:
            raise _not_yet()
        return place

    async def _create(
        self, name: str, tags: Mapping[str, str], attributes: "Mapping[QueueAttributeNameType, str] | None" = None
    ) -> str:
        try:
            made = await self._client.call(
                self._sqs.create_queue, QueueName=name, Attributes=attributes or {}, tags=tags
            )
        except ClientError as error:
            if aws.code_of(error) in _TOO_SOON:
                raise _not_yet() from error
            if aws.code_of(error) not in _OTHERWISE:
                raise
            url = await self._url(name)
            if url is None:
                raise _not_yet() from error
            return url
        return made["QueueUrl"]

    async def _url(self, name: str) -> str | None:
        try:
            return (await self.call(lambda: self._sqs.get_queue_url(QueueName=name)))["QueueUrl"]
        except Gone:
            return None

    async def _attributes(self, url: str, *names: "QueueAttributeFilterType") -> Mapping[str, str]:
        found = await self.call(lambda: self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names))
        return dict(found.get("Attributes", {}))

    async def _listed(self, prefix: str) -> AsyncIterator[tuple[Name, str]]:
        token = ""
        while True:
            more = {"NextToken": token} if token else {}
            page = await self._client.call(
                self._sqs.list_queues, QueueNamePrefix=prefix, MaxResults=_PAGE, **more
            )
            for url in page.get("QueueUrls", []):
                if name := self._names.parse(url):
                    yield name, url
            token = page.get("NextToken", "")
            if not token:
                return

    async def _topic(self, plan_id: str, url: str) -> str | None:
        for (of_plan, topic), place in self._places.items():
            if of_plan == plan_id and place.url == url:
                return topic
        try:
            tags = (await self.call(lambda: self._sqs.list_queue_tags(QueueUrl=url))).get("Tags", {})
        except Gone:
            return None
        return tags.get(_TAG_TOPIC)
