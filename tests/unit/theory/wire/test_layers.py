"""One concern a layer: who calls, what is logged, what is counted."""

import json
import logging
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from prometheus_client import REGISTRY

from tests.unit.theory.wire.echo import SERVICE, Echo, caller
from theory.core.errors import Denied, NotReady, Unauthenticated
from theory.wire.channel import connect
from theory.wire.context import Context, current_call, current_principal, current_request_id
from theory.wire.identity import ANYONE, Role, ServiceKeys
from theory.wire.server import RunningServer, running
from theory.wire.telemetry import JsonFormatter

_TRACE = "0af7651916cd43dd8448eb211c80319c"
_TRACEPARENT = f"00-{_TRACE}-b7ad6b7169203331-01"


async def _role(text: str, context: Context) -> str:
    return current_principal().role


async def _request_id(text: str, context: Context) -> str:
    return current_request_id()


@pytest.mark.parametrize("role", sorted(ANYONE))
async def test_a_token_makes_its_holder_known(server: RunningServer, echo: Echo, role: Role) -> None:
    echo.behave = _role
    assert await caller(server, role).unary() == role


async def test_whoever_opens_the_private_socket_is_a_client(server: RunningServer, echo: Echo) -> None:
    echo.behave = _role
    assert await caller(server, None).unary() == "client"


async def test_a_token_of_somebody_else_is_refused_on_the_socket_too(server: RunningServer) -> None:
    async with connect(server.url, token=ServiceKeys.fresh().token_of(Role.EXECUTOR)) as channel:
        server_like = RunningServer(server.url, (), None, server.health)
        server_like._channels[None] = channel
        with pytest.raises(Unauthenticated) as caught:
            await caller(server_like, None).unary()
    assert caught.value.reason == "TOKEN_INVALID"


@pytest.mark.parametrize("role", [*sorted(ANYONE), None])
async def test_a_method_is_open_to_its_scope_alone(server: RunningServer, role: Role | None) -> None:
    method = f"/{SERVICE}/ForExecutor"
    if role is Role.EXECUTOR:
        assert await caller(server, role).unary("a", name="ForExecutor") == "a"
        return
    with pytest.raises(Denied) as caught:
        await caller(server, role).unary("a", name="ForExecutor")
    assert caught.value.metadata == {"method": method, "role": role or "client"}


async def test_loopback_is_no_identity(echo: Echo) -> None:
    echo.behave = _role
    async with running([echo.unit()], url="grpc://127.0.0.1:0") as server:
        with pytest.raises(Unauthenticated) as caught:
            await caller(server, None).unary()
        assert caught.value.reason == "TOKEN_MISSING"
        assert await caller(server, Role.CLIENT).unary() == "client"


async def test_the_callers_request_id_is_kept(server: RunningServer, echo: Echo) -> None:
    echo.behave = _request_id
    method = caller(server).method("Unary", "unary_unary")
    answer = await method(StringValue(value="a"), timeout=5, metadata=(("x-request-id", "mine-1"),))
    assert answer.value == "mine-1"


@pytest.mark.parametrize("bad", ["", "x" * 37, "two words"])
async def test_a_request_id_of_another_form_is_replaced(server: RunningServer, echo: Echo, bad: str) -> None:
    echo.behave = _request_id
    async with grpc.aio.insecure_channel(server.url.replace("unix://", "unix:")) as channel:
        method: Any = channel.unary_unary(f"/{SERVICE}/Unary")
        raw = await method(b"", timeout=5, metadata=(("x-request-id", bad),))
    assert len(StringValue.FromString(raw).value) == 32


@pytest.mark.parametrize(("sent", "kept"), [(_TRACEPARENT, _TRACEPARENT), ("00-zz", ""), ("", "")])
async def test_a_trace_is_kept_if_it_is_one(server: RunningServer, echo: Echo, sent: str, kept: str) -> None:
    async def trace(text: str, context: Context) -> str:
        call = current_call()
        return call.traceparent if call else "?"

    echo.behave = trace
    method = caller(server).method("Unary", "unary_unary")
    answer = await method(StringValue(value="a"), timeout=5, metadata=(("traceparent", sent),))
    assert answer.value == kept


def _lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    formatter = JsonFormatter()
    return [json.loads(formatter.format(each)) for each in caplog.records if each.name == "theory.wire.rpc"]


async def test_a_call_that_went_well_is_one_line_of_debugging(
    server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "theory")
    await caller(server).unary("payload")
    (line,) = _lines(caplog)
    assert (line["event"], line["level"], line["code"], line["role"]) == ("rpc", "debug", "OK", "client")
    assert line["method"] == f"/{SERVICE}/Unary"
    assert len(line["request_id"]) == 32
    assert line["duration_ms"] > 0
    assert "payload" not in json.dumps(line)


async def test_a_refused_call_is_one_line_with_its_reason_and_trace(
    server: RunningServer, echo: Echo, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(text: str, context: Context) -> str:
        raise NotReady("ENGINE_DOWN", "asleep", secret="in metadata")

    echo.behave = refuse
    caplog.set_level(logging.INFO, "theory.wire.rpc")
    method = caller(server).method("Unary", "unary_unary")
    with pytest.raises(grpc.aio.AioRpcError):
        await method(StringValue(value="a"), timeout=5, metadata=(("traceparent", _TRACEPARENT),))
    (line,) = _lines(caplog)
    assert (line["level"], line["code"], line["reason"]) == ("info", "FAILED_PRECONDITION", "ENGINE_DOWN")
    assert line["message"] == "asleep"
    assert line["trace_id"] == _TRACE
    assert "in metadata" not in json.dumps(line)


async def test_calls_are_counted_by_method_and_status(server: RunningServer, echo: Echo) -> None:
    async def refuse(text: str, context: Context) -> str:
        if text == "bad":
            raise NotReady("ENGINE_DOWN", "asleep")
        return text

    def read(name: str, **labels: str) -> float:
        labels["grpc_method"] = f"{SERVICE}/Unary"
        return REGISTRY.get_sample_value(name, labels) or 0.0

    def counts() -> tuple[float, ...]:
        ended = "grpc_server_call_duration_seconds_count"
        return (
            read("grpc_server_call_started_total"),
            read(ended, grpc_status="OK"),
            read(ended, grpc_status="FAILED_PRECONDITION"),
        )

    echo.behave = refuse
    before = counts()
    await caller(server).unary("good")
    await caller(server).unary("good")
    with pytest.raises(NotReady):
        await caller(server).unary("bad")
    assert [after - then for after, then in zip(counts(), before, strict=True)] == [3, 2, 1]
