"""The queues of AWS behind topics: made at the first publish, found by name, gone with their plan."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast
from weakref import WeakValueDictionary

from botocore.exceptions import ClientError

from services.drivers import aws
from services.resources.queue.adapters import refusals
from services.resources.queue.adapters.sqs.names import Name, Names
from theory.core.errors import Unavailable
from theory.core.jcs import parse

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType

_V = TypeVar("_V")

_MAX_CACHED = 10_000
_PAGE = 1_000
_PLAN, _TOPIC = "theory:plan", "theory:topic"

_ATTRIBUTES: "Mapping[QueueAttributeNameType, str]" = {
    "MessageRetentionPeriod": str(timedelta(days=14) // timedelta(seconds=1)),  # the longest there is
    "MaximumMessageSize": str(1 << 20),
}
_COUNTS: "tuple[QueueAttributeNameType, ...]" = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
_GONE = frozenset({"NonExistentQueue", "QueueDoesNotExist"})
_MADE_OTHERWISE = frozenset({"QueueAlreadyExists", "QueueNameExists"})
_TOO_SOON = frozenset({"QueueDeletedRecently"})


class Gone(Exception):
    """The queue is not there, or not any more."""


@contextmanager
def gone() -> Iterator[None]:
    """Raise `Gone` where a call names a queue that is not there."""
    try:
        yield
    except ClientError as error:
        if aws.code_of(error) not in _GONE:
            raise
        raise Gone from error


class Place(NamedTuple):
    """The queue of a topic."""

    url: str
    max_receives: int


class Counts(NamedTuple):
    """About how many messages a queue holds, as of a minute ago or less."""

    visible: int
    hidden: int
    delayed: int


class Facts(NamedTuple):
    """What the names of a plan's queues say about the plan."""

    ended: bool
    event_every: int


class Queues:
    """Two replicas that make, find or delete the same queues do no harm: names and attributes decide, in AWS."""

    def __init__(self, client: "aws.Client[SQSClient]", names: Names) -> None:
        self._client = client
        self._sqs = client.raw
        self._names = names
        self._places: OrderedDict[tuple[str, str], Place] = OrderedDict()
        self._dead: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def find(self, plan_id: str, topic: str, *, dead_letters: bool) -> str | None:
        """The URL of the queue; None where there is none."""
        key = (plan_id, topic)
        if not dead_letters:
            place = self._places.get(key) or await self._looked_up(plan_id, topic)
            return place and place.url
        url = self._dead.get(key) or await self._url(self._names.topic(plan_id, topic, dead_letters=True))
        if url:
            _keep(self._dead, key, url)
        return url

    async def place(self, plan_id: str, topic: str, max_receives: int | None) -> Place:
        """The queue of a topic, made if need be; `AlreadyExists` (`TOPIC_TAKEN`)."""
        key = (plan_id, topic)
        place = self._places.get(key)
        if place is None:
            # Of those who publish first at once one looks, the others wait for it.
            lock = self._locks.setdefault(key, asyncio.Lock())
            async with lock:
                place = self._places.get(key) or await self._looked_up(plan_id, topic)
                if place is None:
                    place = await self._made(plan_id, topic, max_receives or 0)
        if max_receives is not None and max_receives != place.max_receives:
            raise refusals.topic_taken(place.max_receives)
        return place

    def forget(self, plan_id: str, topic: str) -> None:
        """Look for the queues of the topic again next time."""
        self._places.pop((plan_id, topic), None)
        self._dead.pop((plan_id, topic), None)

    async def facts(self, plan_id: str) -> Facts:
        """What is known of the plan."""
        names = [name for name, _ in await self._marks(plan_id)]
        return Facts(any(name.ended for name in names), max((name.event_every or 0 for name in names), default=0))

    async def begin(self, plan_id: str, event_every: int) -> None:
        """Have the names say how many changes make an event."""
        if event_every:
            await self._create(self._names.every(plan_id, event_every), {_PLAN: plan_id})
        marks = await self._marks(plan_id)
        await self.delete(url for name, url in marks if name.event_every not in (None, event_every))

    async def end(self, plan_id: str) -> None:
        """Have the names say that the plan has ended, then drop all else."""
        await self._create(self._names.ended(plan_id), {_PLAN: plan_id})
        for key in [key for key in (*self._places, *self._dead) if key[0] == plan_id]:
            self.forget(*key)
        await self.delete([url async for name, url in self._listed(self._names.plan(plan_id)) if not name.ended])

    async def topics(self, plan_id: str) -> dict[str, tuple[str, str | None]]:
        """The queue of each topic, and that of its dead letters."""
        urls = {name.rest: url async for name, url in self._listed(self._names.plan(plan_id)) if name.holds_messages}
        live = {rest: url for rest, url in urls.items() if not rest.endswith(Names.DEAD)}
        known = {place.url: topic for (of_plan, topic), place in self._places.items() if of_plan == plan_id}
        topics = await asyncio.gather(*(self._topic_of(url, known) for url in live.values()))
        return {
            topic: (url, urls.get(rest + Names.DEAD))
            for topic, (rest, url) in zip(topics, live.items(), strict=True)
            if topic is not None
        }

    async def counts(self, url: str | None) -> Counts:
        """How many messages; none where there is no queue."""
        if url is None:
            return Counts(0, 0, 0)
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

    async def create_time(self, url: str) -> datetime | None:
        """When the queue was made; None where it is gone."""
        try:
            attributes = await self._attributes(url, "CreatedTimestamp")
        except Gone:
            return None
        return datetime.fromtimestamp(int(attributes["CreatedTimestamp"]), UTC)

    async def delete(self, urls: Iterable[str]) -> None:
        """Delete queues with all that is in them; one that is gone is fine."""
        await asyncio.gather(*map(self._delete, urls))

    async def _delete(self, url: str) -> None:
        with suppress(Gone), gone():
            await self._client.call(self._sqs.delete_queue, QueueUrl=url)

    async def _looked_up(self, plan_id: str, topic: str) -> Place | None:
        url = await self._url(self._names.topic(plan_id, topic, dead_letters=False))
        if url is None:
            return None
        try:
            attributes = await self._attributes(url, "RedrivePolicy")
        except Gone:
            return None
        return _keep(self._places, (plan_id, topic), Place(url, _max_receives(attributes.get("RedrivePolicy"))))

    async def _made(self, plan_id: str, topic: str, max_receives: int) -> Place:
        tags = {_PLAN: plan_id, _TOPIC: topic}
        attributes = dict(_ATTRIBUTES)
        if max_receives:
            dead = await self._create(self._names.topic(plan_id, topic, dead_letters=True), tags, _ATTRIBUTES)
            try:
                arn = (await self._attributes(dead, "QueueArn"))["QueueArn"]
            except Gone:
                raise _not_yet() from None
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
            if aws.code_of(error) in _MADE_OTHERWISE and (url := await self._url(name)):
                return url
            if aws.code_of(error) in _MADE_OTHERWISE | _TOO_SOON:
                raise _not_yet() from error
            raise
        return made["QueueUrl"]

    async def _url(self, name: str) -> str | None:
        try:
            with gone():
                return (await self._client.call(self._sqs.get_queue_url, QueueName=name))["QueueUrl"]
        except Gone:
            return None

    async def _attributes(self, url: str, *names: "QueueAttributeNameType") -> Mapping[str, str]:
        with gone():
            found = await self._client.call(self._sqs.get_queue_attributes, QueueUrl=url, AttributeNames=names)
        return cast("Mapping[str, str]", found.get("Attributes", {}))

    async def _marks(self, plan_id: str) -> list[tuple[Name, str]]:
        return [each async for each in self._listed(self._names.marks(plan_id))]

    async def _listed(self, prefix: str) -> AsyncIterator[tuple[Name, str]]:
        token = ""
        while True:
            ask = self._sqs.list_queues
            if token:
                page = await self._client.call(ask, QueueNamePrefix=prefix, MaxResults=_PAGE, NextToken=token)
            else:
                page = await self._client.call(ask, QueueNamePrefix=prefix, MaxResults=_PAGE)
            for url in page.get("QueueUrls", []):
                if name := self._names.parse(url):
                    yield name, url
            token = page.get("NextToken", "")
            if not token:
                return

    async def _topic_of(self, url: str, known: Mapping[str, str]) -> str | None:
        if url in known:
            return known[url]
        try:
            with gone():
                tags = await self._client.call(self._sqs.list_queue_tags, QueueUrl=url)
        except Gone:
            return None
        return tags.get("Tags", {}).get(_TOPIC)


def _keep(cache: "OrderedDict[tuple[str, str], _V]", key: tuple[str, str], value: _V) -> _V:
    cache[key] = value
    while len(cache) > _MAX_CACHED:
        cache.popitem(last=False)
    return value


def _max_receives(policy: str | None) -> int:
    document = parse(policy) if policy else {}
    figure = document.get("maxReceiveCount", 0) if isinstance(document, dict) else 0
    return int(figure) if isinstance(figure, int | str) else 0


def _not_yet() -> Unavailable:
    return Unavailable("STORE_UNREACHABLE", "the queue is being made or removed; a moment later it is known which")
