"""What a call goes through, in each of the four shapes, over a real socket."""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from tests.unit.theory.wire.echo import METHODS, SERVICE, SHAPES, Echo, caller
from theory.core import errors
from theory.core.errors import Exhausted, Invalid, NotReady, TheoryError, Unavailable, Unsupported
from theory.core.ids import SequenceIds
from theory.wire import pipeline
from theory.wire.channel import call
from theory.wire.chunks import frame
from theory.wire.context import Call, Context, current_principal, current_request_id, time_remaining
from theory.wire.identity import ANYONE, Principal, Role
from theory.wire.layers import Surroundings
from theory.wire.pipeline import Registrar, Watches
from theory.wire.server import STACK, RunningServer, running

_SHAPES = pytest.mark.parametrize("shape", SHAPES)
_CANARY = "sk-CANARY-7f3a"


@_SHAPES
async def test_answers_arrive(server: RunningServer, shape: str) -> None:
    expected = {"Unary": "a", "Down": "a,a,a", "Up": "a", "Both": "a"}
    assert await caller(server).of(shape)("a") == expected[shape]


@_SHAPES
@pytest.mark.parametrize("kind", errors.ALL)
async def test_errors_arrive_as_they_were_raised(
    server: RunningServer, echo: Echo, shape: str, kind: type[TheoryError]
) -> None:
    async def refuse(text: str, context: Context) -> str:
        raise kind("PATH_INVALID", "a sentence", path="/ü")

    echo.behave = refuse
    with pytest.raises(kind) as caught:
        await caller(server).of(shape)()
    assert (caught.value.reason, caught.value.message) == ("PATH_INVALID", "a sentence")
    assert caught.value.metadata == {"path": "/ü"}


@_SHAPES
async def test_an_exception_that_is_not_ours_tells_nothing(
    server: RunningServer, echo: Echo, shape: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def break_down(text: str, context: Context) -> str:
        raise ValueError(_CANARY)

    echo.behave = break_down
    with pytest.raises(TheoryError) as caught:
        await caller(server).of(shape)()
    assert type(caught.value) is TheoryError
    assert caught.value.reason == "INTERNAL"
    assert "internal error" in caught.value.message
    assert caught.value.metadata["request_id"] in caught.value.message
    assert _CANARY not in f"{caught.value!r}"
    (record,) = [each for each in caplog.records if each.name == "theory.wire.rpc"]
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == _CANARY


@_SHAPES
async def test_an_answer_that_cannot_be_written_tells_nothing(server: RunningServer, echo: Echo, shape: str) -> None:
    async def answer(text: str, context: Context) -> Any:
        return {"secret": _CANARY}

    echo.behave = answer
    with pytest.raises(TheoryError) as caught:
        await caller(server).of(shape)()
    assert caught.value.reason == "INTERNAL"
    assert _CANARY not in f"{caught.value!r}"


async def test_a_method_that_is_not_there_is_unsupported(server: RunningServer) -> None:
    for method in (f"/{SERVICE}/Nothing", "/no.Service/Unary"):
        with pytest.raises(Unsupported):
            await call(server.channel().unary_unary(method), b"")


async def test_a_handler_may_write_its_messages_by_itself(echo: Echo) -> None:
    async def down(request: StringValue, context: Context) -> AsyncIterator[Any]:
        yield frame(1, b"by hand")
        yield StringValue(value="by protobuf")

    echo.down = down  # type: ignore[method-assign]  # bytes are messages, too
    async with running([echo.unit()]) as server:
        assert await caller(server).down() == "by hand,by protobuf"


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream"])
async def test_bytes_that_are_no_message_are_refused(server: RunningServer, kind: str) -> None:
    name = "Unary" if kind == "unary_unary" else "Down"
    raw = getattr(server.channel(), kind)(f"/{SERVICE}/{name}")
    answer = raw(b"\xff\xff", timeout=5)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (answer if kind == "unary_unary" else anext(aiter(answer)))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_refusal_inside_a_task_group_arrives_as_itself(server: RunningServer, echo: Echo) -> None:
    async def refuse() -> None:
        raise NotReady("ENGINE_DOWN", "asleep")

    async def group(text: str, context: Context) -> str:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(refuse())
        return text

    echo.behave = group
    with pytest.raises(NotReady):
        await caller(server).unary()


async def test_a_method_that_nobody_serves_is_unsupported(server: RunningServer) -> None:
    with pytest.raises(Unsupported):
        await caller(server).unary(name="Nothing")


@_SHAPES
async def test_a_caller_that_goes_away_cancels_the_handler(server: RunningServer, echo: Echo, shape: str) -> None:
    echo.behave = _hang
    waiting = asyncio.create_task(_awaited(caller(server).of(shape)()))
    await echo.started.wait()
    waiting.cancel()
    await asyncio.wait_for(echo.cancelled.wait(), 5)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert echo.finished == []


@_SHAPES
async def test_a_deadline_that_passes_cancels_the_handler(server: RunningServer, echo: Echo, shape: str) -> None:
    echo.behave = _hang
    with pytest.raises(TimeoutError):
        await caller(server).of(shape)(timeout_s=0.1)
    await asyncio.wait_for(echo.cancelled.wait(), 5)


async def test_a_call_with_too_little_time_left_is_refused_before_the_handler(
    echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("theory.wire.layers.MIN_REMAINING_S", 60.0)
    async with running([echo.unit()]) as server:
        with pytest.raises(TimeoutError):
            await caller(server).unary(timeout_s=30)
    assert not echo.started.is_set()


@_SHAPES
async def test_a_call_without_a_deadline_gets_the_servers(
    server: RunningServer, echo: Echo, shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "UNARY_LIMIT_S", 0.05)
    monkeypatch.setattr(pipeline, "STREAM_LIMIT_S", 0.05)
    echo.behave = _hang
    async with running([echo.unit()]) as limited:
        kind = {"Unary": "unary_unary", "Down": "unary_stream", "Up": "stream_unary", "Both": "stream_stream"}[shape]
        method = caller(limited).method(shape, kind)
        one = StringValue(value="a")
        answer = method(one if shape in {"Unary", "Down"} else _each(one))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await (answer if shape in {"Unary", "Up"} else anext(aiter(answer)))
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_handler_knows_its_call(server: RunningServer, echo: Echo) -> None:
    seen: list[Any] = []

    async def look(text: str, context: Context) -> str:
        seen.extend((current_principal(), current_request_id(), time_remaining()))
        return text

    echo.behave = look
    await caller(server, Role.EXECUTOR).unary(timeout_s=20)
    principal, request_id, remaining = seen
    assert principal == Principal(Role.EXECUTOR)
    assert len(request_id) == 32
    assert 19 < remaining < 21  # gRPC rounds a deadline up when it sends it


async def test_calls_do_not_see_each_other(server: RunningServer, echo: Echo) -> None:
    async def look(text: str, context: Context) -> str:
        mine = current_request_id()
        await asyncio.sleep(0)
        assert current_request_id() == mine
        return mine

    echo.behave = look
    answers = await asyncio.gather(*(caller(server).unary() for _ in range(20)))
    assert len(set(answers)) == 20


async def test_a_server_that_is_full_sheds_calls_and_keeps_those_it_has(
    echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("theory.wire.layers.MAX_UNARY_CALLS", 1)
    async with running([echo.unit()]) as server:
        release = asyncio.Event()

        async def wait(text: str, context: Context) -> str:
            if text == "slow":
                await release.wait()
            return text

        echo.behave = wait
        slow = asyncio.create_task(_awaited(caller(server).unary("slow")))
        await echo.started.wait()
        with pytest.raises(Exhausted) as caught:
            await caller(server).unary("fast")
        assert (caught.value.reason, caught.value.retry_after_s) == ("TOO_MANY_CALLS", 1.0)
        release.set()
        assert await slow == "slow"
        assert await caller(server).unary("fast") == "fast"


async def test_a_watch_ends_cleanly_when_it_has_lived_long_enough(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "WATCH_LIFE_S", 0.05)
    count = itertools.count()

    async def one_then_nothing(text: str, context: Context) -> str:
        return text if next(count) == 0 else await _hang(text, context)

    echo.behave = one_then_nothing
    async with running([echo.unit()]) as server:
        assert await caller(server).down(name="WatchAll") == "a"
    assert echo.cancelled.is_set()


def _registering(echo: Echo, access: dict[str, Any]) -> Registrar:
    registrar = Registrar(STACK, Surroundings(access, None, token_required=False, ids=SequenceIds()))
    echo.register(registrar)  # type: ignore[arg-type]  # it stands where a server is expected
    return registrar


def test_every_method_is_wrapped_when_it_is_registered(echo: Echo) -> None:
    registrar = _registering(echo, echo.access())
    assert set(registrar.methods()) == {f"/{SERVICE}/{name}" for name in METHODS}


def test_a_method_without_a_scope_is_not_registered(echo: Echo) -> None:
    access = echo.access()
    del access[f"/{SERVICE}/Up"]
    with pytest.raises(Invalid, match="Up"):
        _registering(echo, access)


def test_a_service_is_not_registered_twice(echo: Echo) -> None:
    registrar = _registering(echo, echo.access())
    with pytest.raises(Invalid, match="twice"):
        echo.register(registrar)  # type: ignore[arg-type]  # it stands where a server is expected


def test_a_stream_that_writes_by_itself_is_not_registered() -> None:
    async def write(request: Any, context: Context) -> None:
        await context.write(request)

    registrar = Registrar(STACK, Surroundings({"/t.S/Down": ANYONE}, None, token_required=False, ids=SequenceIds()))
    with pytest.raises(Invalid, match="async generator"):
        registrar.add_registered_method_handlers("t.S", {"Down": grpc.unary_stream_rpc_method_handler(write)})


async def _awaited(answer: Awaitable[str]) -> str:
    return await answer


async def _each(message: StringValue) -> AsyncIterator[StringValue]:
    yield message


async def _hang(text: str, context: Context) -> str:
    await asyncio.Event().wait()
    return text


async def test_a_watch_that_arrives_while_the_server_drains_is_ended_too() -> None:
    watches = Watches()
    watches.drain()
    call = Call("/test.v1.Echo/WatchAll", 0, SequenceIds())

    async def watch() -> None:
        remove = watches.add(call)
        try:
            await asyncio.Event().wait()
        finally:
            remove()

    watching = asyncio.create_task(watch())
    await asyncio.wait([watching])
    assert watching.cancelled()
    assert isinstance(call.failure, Unavailable)
    assert call.ended
