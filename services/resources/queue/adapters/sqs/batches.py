"""Calls of SQS about messages: at most ten in each, at once where there are more, and what became of each message."""

import asyncio
from collections.abc import Iterator, Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

from services.drivers import aws
from services.resources.queue.adapters.sqs.messages import MAX_DELAY_S, Letter
from services.resources.queue.adapters.sqs.queues import gone
from theory.core.errors import TheoryError, Unavailable

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import (
        BatchResultErrorEntryTypeDef,
        ChangeMessageVisibilityBatchRequestEntryTypeDef,
        DeleteMessageBatchRequestEntryTypeDef,
        SendMessageBatchRequestEntryTypeDef,
    )

_T = TypeVar("_T")

MAX_BATCH = 10
_MAX_CHARACTERS = 1_000_000


class Refused(Enum):
    """What SQS says of a delivery that it does nothing about."""

    NO_LONGER = auto()
    """Its message is gone, or was handed out again."""
    VISIBLE = auto()
    """Its time has run out, and nobody has taken the message yet."""


Answer: TypeAlias = TheoryError | Refused | None

_REFUSED = {
    "InvalidParameterValue": Refused.NO_LONGER,
    "MessageNotInflight": Refused.VISIBLE,
    "ReceiptHandleIsInvalid": Refused.NO_LONGER,
}


class Received(NamedTuple):
    """A delivery."""

    letter: Letter | None
    """None where no service of ours wrote the message."""
    receipt: str
    receive_count: int


class Batches:
    """Messages and deliveries of the queue at a URL. Raises `Gone` where there is none."""

    def __init__(self, client: "aws.Client[SQSClient]") -> None:
        self._client = client
        self._sqs = client.raw

    async def send(self, url: str, letters: Sequence[tuple[Letter, int]]) -> list[TheoryError | None]:
        """Send each with its delay in seconds, of which SQS keeps `MAX_DELAY_S` at most."""
        batches = list(_batches([(letter.text, min(delay_s, MAX_DELAY_S)) for letter, delay_s in letters]))
        answered = await asyncio.gather(*(self._send(url, batch) for batch in batches))
        return [answer for answers in answered for answer in answers]

    async def receive(self, url: str, most: int, visibility_timeout_s: int, wait_s: int) -> list[Received]:
        """Take at most ten; where there is none, look for so long."""
        with gone():
            answer = await self._client.call(
                self._sqs.receive_message,
                QueueUrl=url,
                MaxNumberOfMessages=most,
                VisibilityTimeout=visibility_timeout_s,
                WaitTimeSeconds=wait_s,
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
        return [
            Received(
                Letter.read(each.get("Body", "")),
                each.get("ReceiptHandle", ""),
                int(each.get("Attributes", {}).get("ApproximateReceiveCount", "1")),
            )
            for each in answer.get("Messages", [])
        ]

    async def delete(self, url: str, receipts: Sequence[str]) -> list[Answer]:
        """Remove the messages of deliveries."""
        answered = await asyncio.gather(*(self._delete(url, batch) for batch in _tens(receipts)))
        return [answer for answers in answered for answer in answers]

    async def show(self, url: str, deliveries: Sequence[tuple[str, int]]) -> list[Answer]:
        """Make the message of each delivery visible in so many seconds."""
        answered = await asyncio.gather(*(self._show(url, batch) for batch in _tens(deliveries)))
        return [answer for answers in answered for answer in answers]

    async def _send(self, url: str, batch: Sequence[tuple[str, int]]) -> list[TheoryError | None]:
        entries: list[SendMessageBatchRequestEntryTypeDef] = [
            {"Id": str(idx), "MessageBody": text, "DelaySeconds": delay_s} for idx, (text, delay_s) in enumerate(batch)
        ]
        try:
            with gone():
                answer = await self._client.call(self._sqs.send_message_batch, QueueUrl=url, Entries=entries)
        except TheoryError as error:
            return [error] * len(batch)
        answers = _answers(len(batch), answer.get("Failed", ()))
        return [unheard() if isinstance(each, Refused) else each for each in answers]

    async def _delete(self, url: str, batch: Sequence[str]) -> Sequence[Answer]:
        entries: list[DeleteMessageBatchRequestEntryTypeDef] = [
            {"Id": str(idx), "ReceiptHandle": receipt} for idx, receipt in enumerate(batch)
        ]
        try:
            with gone():
                answer = await self._client.call(self._sqs.delete_message_batch, QueueUrl=url, Entries=entries)
        except TheoryError as error:
            return [error] * len(batch)
        return _answers(len(batch), answer.get("Failed", ()))

    async def _show(self, url: str, batch: Sequence[tuple[str, int]]) -> Sequence[Answer]:
        entries: list[ChangeMessageVisibilityBatchRequestEntryTypeDef] = [
            {"Id": str(idx), "ReceiptHandle": receipt, "VisibilityTimeout": seconds}
            for idx, (receipt, seconds) in enumerate(batch)
        ]
        ask = self._sqs.change_message_visibility_batch
        try:
            with gone():
                answer = await self._client.call(ask, QueueUrl=url, Entries=entries)
        except TheoryError as error:
            return [error] * len(batch)
        return _answers(len(batch), answer.get("Failed", ()))


def unheard() -> Unavailable:
    """What is answered where nobody knows whether it was done."""
    return Unavailable("STORE_UNREACHABLE", "the store did not take it, or its answer was lost")


def _answers(count: int, failed: "Sequence[BatchResultErrorEntryTypeDef]") -> list[Answer]:
    codes = {int(each["Id"]): each["Code"].rpartition(".")[2] for each in failed}
    return [_answer(codes[idx]) if idx in codes else None for idx in range(count)]


def _answer(code: str) -> Answer:
    return _REFUSED.get(code) or aws.fault(code) or unheard()


def _tens(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for begin in range(0, len(items), MAX_BATCH):
        yield items[begin : begin + MAX_BATCH]


def _batches(items: Sequence[tuple[str, int]]) -> Iterator[Sequence[tuple[str, int]]]:
    """As `_tens`, but none outgrows what SQS takes in one call."""
    batch: list[tuple[str, int]] = []
    weight = 0
    for text, delay_s in items:
        if batch and (len(batch) == MAX_BATCH or weight + len(text) > _MAX_CHARACTERS):
            yield batch
            batch, weight = [], 0
        batch.append((text, delay_s))
        weight += len(text)
    if batch:
        yield batch
