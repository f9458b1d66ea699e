"""How workers ask, and what they make of the answer: every try stands in the history, whatever became of it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import grpc

from tests.chaos.history import A, Operation, R, Recorder
from theory.core.adapters import KVIncr, KVPut, KVValue, Message, Published, QueueExtend, QueueNack, QueuePublish
from theory.core.errors import Conflict, Corrupt, Exhausted, TheoryError, Unavailable

BROKEN = "BROKEN"
"""What the reason of an answer begins with that no service should give: an error of no class."""


class QueueAccess(Protocol):
    """What workers use of `theory.core.adapters.QueueAdapter`."""

    async def publish_many(
        self, plan_id: str, topic: str, items: Sequence[QueuePublish], *, max_receives: int | None = None
    ) -> list[Published | TheoryError]: ...

    async def consume(
        self,
        *,
        plan_id: str,
        topic: str,
        max_messages: int = 1,
        visibility_timeout_s: int = 30,
        wait_s: int = 0,
        dead_letters: bool = False,
    ) -> list[Message]: ...

    async def ack_many(self, plan_id: str, topic: str, receipt_handles: Sequence[str]) -> list[TheoryError | None]: ...

    async def nack_many(self, plan_id: str, topic: str, items: Sequence[QueueNack]) -> list[TheoryError | None]: ...

    async def extend_many(self, plan_id: str, topic: str, items: Sequence[QueueExtend]) -> list[TheoryError | None]: ...

    async def redrive_many(
        self, plan_id: str, topic: str, receipt_handles: Sequence[str]
    ) -> list[TheoryError | None]: ...


class KeyAccess(Protocol):
    """What workers use of `theory.core.adapters.KVAdapter`."""

    async def get_many(self, plan_id: str, keys: Sequence[str]) -> list[KVValue | TheoryError | None]: ...

    async def put_many(self, plan_id: str, items: Sequence[KVPut]) -> list[TheoryError | None]: ...

    async def delete_many(self, plan_id: str, keys: Sequence[str]) -> list[TheoryError | None]: ...

    async def incr_many(
        self, plan_id: str, items: Sequence[KVIncr], request_id: str | None = None
    ) -> list[int | TheoryError]: ...


class Site(Protocol):
    """Where the stores are, as long as they are there."""

    @property
    def queue(self) -> QueueAccess:
        """A client that is good now."""
        ...

    @property
    def keys(self) -> KeyAccess:
        """A client that is good now."""
        ...

    async def back(self) -> None:
        """Return when it may be worth asking again."""
        ...


def certain(error: TheoryError) -> bool:
    """Whether the refusal says that nothing was done, and that nothing of it will be."""
    if type(error) is TheoryError or isinstance(error, Unavailable | Conflict | Corrupt):
        return False
    return not isinstance(error, Exhausted) or error.reason == "QUOTA_EXCEEDED"


def unknown(operation: Operation[A, R]) -> bool:
    """Whether it may or may not have taken effect."""
    return operation.possible and not operation.ok


async def ask(
    recorder: Recorder[A, R],
    operations: Sequence[Operation[A, R]],
    call: Callable[[], Awaitable[Sequence[object]]],
    answer_of: Callable[[object], R | None],
    *,
    limit_s: float | None = None,
) -> None:
    """Write down what each operation of a batch was answered. After `limit_s` nobody listens any more."""
    answers: Sequence[object]
    try:
        async with asyncio.timeout(limit_s):
            answers = await call()
    except TheoryError as error:
        answers = [error] * len(operations)
    except TimeoutError:
        answers = [Unavailable("TIMEOUT", "nobody waited for the answer")] * len(operations)
    except asyncio.CancelledError:
        # gRPC cancels what is under way on a channel that is closed; nobody cancels this task for that.
        if (task := asyncio.current_task()) is None or task.cancelling():
            raise
        answers = [_cut()] * len(operations)
    except grpc.aio.UsageError:  # it had not even gone out
        answers = [_cut()] * len(operations)
    for each, answer in zip(operations, answers, strict=True):
        if isinstance(answer, TheoryError):
            _refused(recorder, each, answer)
        else:
            recorder.ok(each, answer_of(answer))


def _cut() -> Unavailable:
    return Unavailable("CUT", "the connection was closed")


def _refused(recorder: Recorder[A, R], operation: Operation[A, R], error: TheoryError) -> None:
    if certain(error):
        recorder.fail(operation, error.reason)
    elif type(error) is TheoryError:
        recorder.unknown(operation, f"{BROKEN} {error.reason}: {error.message}")
    else:
        recorder.unknown(operation, error.reason)
