"""Calls as their callers see them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from tests.unit.theory.wire.echo import SERVICE, Caller, Echo, caller
from theory.core.errors import Exhausted, Invalid, NotReady, Unavailable
from theory.wire.channel import IdentifiedChannel, budget, call, connect, send, stream
from theory.wire.context import Context, current_principal, serving
from theory.wire.identity import Principal, Role
from theory.wire.options import MESSAGE_BYTES
from theory.wire.server import RunningServer, running

_TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_CLIENT = Principal(Role.CLIENT)


async def test_nobody_there_says_where(tmp_path: Path) -> None:
    url = f"unix://{tmp_path}/nobody.sock"
    async with connect(url) as channel:
        with pytest.raises(Unavailable) as caught:
            await Caller(channel).unary(timeout_s=5)
    assert (caught.value.reason, caught.value.metadata) == ("SERVICE_UNREACHABLE", {"url": url})


def test_a_url_of_another_form_is_refused() -> None:
    with pytest.raises(Invalid):
        connect("redis://localhost:6379")


async def test_one_connection_serves_several_identities(server: RunningServer, echo: Echo) -> None:
    async def role(text: str, context: Context) -> str:
        return current_principal().role

    echo.behave = role
    assert server.keys is not None
    channel = server.channel(Role.CLIENT)
    assert isinstance(channel, IdentifiedChannel)
    executor = channel.as_caller(server.keys.token_of(Role.EXECUTOR))
    assert [await Caller(each).unary() for each in (channel, executor)] == ["client", "executor"]


async def _metadata_seen(server: RunningServer, echo: Echo) -> dict[str, str]:
    seen: dict[str, str] = {}

    async def look(text: str, context: Context) -> str:
        seen.update({key: str(value) for key, value in context.invocation_metadata() or ()})
        return text

    echo.behave = look
    await caller(server, Role.CLIENT).unary()
    return seen


async def test_a_call_carries_a_request_id_of_its_own(server: RunningServer, echo: Echo) -> None:
    first, second = await _metadata_seen(server, echo), await _metadata_seen(server, echo)
    assert first["x-request-id"] != second["x-request-id"]
    assert "traceparent" not in first


async def test_a_call_made_while_serving_carries_the_id_and_the_trace_of_what_is_served(
    server: RunningServer, echo: Echo
) -> None:
    with serving(_CLIENT, request_id="outer-1") as served:
        served.traceparent = _TRACEPARENT
        seen = await _metadata_seen(server, echo)
    assert (seen["x-request-id"], seen["traceparent"]) == ("outer-1", _TRACEPARENT)


def test_a_call_waits_for_its_timeout() -> None:
    assert budget(7) == 7


def test_a_call_made_while_serving_leaves_some_time_to_answer() -> None:
    with serving(_CLIENT, timeout_s=10):
        assert budget(30) == pytest.approx(9.5, abs=0.1)
        assert budget(2) == 2
    with serving(_CLIENT):
        assert budget(30) == 30


async def test_a_call_made_when_no_time_is_left_is_not_sent(server: RunningServer, echo: Echo) -> None:
    with serving(_CLIENT, timeout_s=0), pytest.raises(TimeoutError):
        await caller(server).unary()
    assert not echo.started.is_set()


@pytest.mark.parametrize("timeout_s", [0, -1, float("inf"), float("nan")])
async def test_a_call_without_a_deadline_is_not_sent(server: RunningServer, timeout_s: float) -> None:
    with pytest.raises(NotReady) as caught:
        await caller(server).unary(timeout_s=timeout_s)
    assert caught.value.reason == "DEADLINE_MISSING"


async def test_leaving_a_stream_early_cancels_it(server: RunningServer, echo: Echo) -> None:
    async def then_hang(text: str, context: Context) -> str:
        if echo.finished:
            await asyncio.Event().wait()
        return text

    echo.behave = then_hang
    down = caller(server).method("Down", "unary_stream")
    async with stream(down, StringValue(value="a"), timeout_s=20) as messages:
        assert (await anext(messages)).value == "a"
    await asyncio.wait_for(echo.cancelled.wait(), 5)


async def test_an_upload_that_breaks_here_raises_what_broke_and_cancels_the_call(
    server: RunningServer, echo: Echo
) -> None:
    closed = asyncio.Event()

    async def broken() -> AsyncGenerator[StringValue, None]:
        try:
            yield StringValue(value="a")
            await echo.started.wait()
            raise Invalid("CID_MISMATCH", "the file changed")
        finally:
            closed.set()

    async def hang(text: str, context: Context) -> str:
        await asyncio.Event().wait()
        return text

    echo.behave = hang
    up = caller(server).method("Up", "stream_unary")
    with pytest.raises(Invalid, match="the file changed"):
        await send(up, broken(), timeout_s=5)
    assert closed.is_set()
    await asyncio.wait_for(echo.cancelled.wait(), 5)


async def test_an_upload_that_is_refused_early_stops(server: RunningServer, echo: Echo) -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncGenerator[StringValue, None]:
        try:
            while True:
                yield StringValue(value="a" * 1000)
        finally:
            closed.set()

    async def refuse(text: str, context: Context) -> str:
        raise Invalid("BLOB_TOO_LARGE", "too large")

    echo.behave = refuse
    with pytest.raises(Invalid, match="too large"):
        await send(caller(server).method("Up", "stream_unary"), endless(), timeout_s=5)
    await asyncio.wait_for(closed.wait(), 5)


async def test_a_request_that_no_message_holds_is_invalid_and_nobody_sees_it(server: RunningServer, echo: Echo) -> None:
    with pytest.raises(Invalid) as caught:
        await caller(server).unary("a" * MESSAGE_BYTES)
    assert (caught.value.reason, caught.value.metadata) == ("MESSAGE_TOO_LARGE", {"max_bytes": str(MESSAGE_BYTES)})
    assert not echo.started.is_set()


async def test_an_answer_that_no_message_holds_is_not_the_fault_of_the_request(
    server: RunningServer, echo: Echo
) -> None:
    async def too_much(text: str, context: Context) -> str:
        return text * MESSAGE_BYTES

    echo.behave = too_much
    with pytest.raises(Exhausted) as caught:
        await caller(server).unary("a")
    assert caught.value.reason != "MESSAGE_TOO_LARGE"


async def test_an_upload_may_be_answered_before_its_end(echo: Echo) -> None:
    async def first_only(requests: AsyncIterator[StringValue], context: Context) -> StringValue:
        return await anext(requests)

    async def endless() -> AsyncGenerator[StringValue, None]:
        while True:
            yield StringValue(value="a" * 10_000)

    echo.up = first_only  # type: ignore[method-assign]  # the shape is the same
    async with running([echo.unit()]) as server:
        answer = await send(caller(server).method("Up", "stream_unary"), endless(), timeout_s=5)
    assert answer.value == "a" * 10_000


async def test_what_is_unavailable_for_a_moment_is_tried_again(server: RunningServer, echo: Echo) -> None:
    tries = []

    async def sometimes(text: str, context: Context) -> str:
        tries.append(text)
        if len(tries) < 3:
            raise Unavailable("STORE_UNREACHABLE", "a moment")
        return text

    echo.behave = sometimes
    assert await caller(server).unary("a") == "a"
    assert len(tries) == 3


async def test_a_refusal_is_not_tried_again(server: RunningServer, echo: Echo) -> None:
    tries = []

    async def refuse(text: str, context: Context) -> str:
        tries.append(text)
        raise NotReady("ENGINE_DOWN", "asleep")

    echo.behave = refuse
    with pytest.raises(NotReady):
        await caller(server).unary("a")
    assert len(tries) == 1


async def test_a_method_of_another_channel_can_be_called_too(server: RunningServer) -> None:
    async with grpc.aio.insecure_channel(server.url.replace("unix://", "unix:")) as channel:
        method: Any = channel.unary_unary(f"/{SERVICE}/Unary")
        assert await call(method, StringValue(value="a").SerializeToString(), timeout_s=5)


async def test_metadata_over_the_limit_is_refused_and_the_connection_lives_on(server: RunningServer) -> None:
    method = caller(server).method("Unary", "unary_unary")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await method(StringValue(value="a"), timeout=5, metadata=(("x-large", "a" * 40_000),))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await caller(server).unary("a") == "a"


async def test_a_message_over_the_limit_is_refused_and_the_connection_lives_on(
    server: RunningServer, echo: Echo
) -> None:
    method = caller(server).method("Unary", "unary_unary")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await method(StringValue(value="a" * (8 * 1024 * 1024)), timeout=5)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await caller(server).unary("a" * (7 * 1024 * 1024)) == "a" * (7 * 1024 * 1024)
