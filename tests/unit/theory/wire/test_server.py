"""From the first bind to the last drained call."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from grpc_health.v1 import health_pb2

from tests.unit.theory.wire.echo import SERVICE, Caller, Echo, caller, health_stub
from theory.core.errors import Invalid, NotReady, Unavailable
from theory.wire.channel import connect, stream
from theory.wire.context import Context
from theory.wire.identity import ANYONE, Role, ServiceKeys
from theory.wire.server import RunningServer, ServiceUnit, running, serve


class Recorder:
    """A unit's life, as a list of what happened."""

    def __init__(self) -> None:
        self.life: list[str] = []

    def says(self, what: str) -> Callable[[], Any]:
        async def said() -> None:
            self.life.append(what)

        return said


@asynccontextmanager
async def _serving(units: list[ServiceUnit], url: str, **options: Any) -> AsyncIterator[tuple[asyncio.Event, Any]]:
    """`serve` in a task, from the moment it listens; and the event that stops it."""
    stop, listening = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(
        serve(units, url=url, keys=ServiceKeys.fresh(), stop=stop, on_listening=lambda _: listening.set(), **options)
    )
    await asyncio.wait([task, asyncio.create_task(listening.wait())], return_when=asyncio.FIRST_COMPLETED)
    try:
        yield stop, task
    finally:
        stop.set()
        await task


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"unix://{tmp_path}/theory.sock"


async def test_units_are_started_once_listening_and_closed_in_reverse(echo: Echo, url: str) -> None:
    recorder = Recorder()

    async def start() -> None:
        async with connect(url) as channel:
            recorder.life.append(f"started, answers {await Caller(channel).unary('a')}")

    first = echo.unit(start=start, close=recorder.says("first closed"))
    second = ServiceUnit("second", {}, lambda _: None, recorder.says("second started"), recorder.says("second closed"))
    async with running([first, second], url=url):
        recorder.life.append("running")
    assert recorder.life == ["started, answers a", "second started", "running", "second closed", "first closed"]


async def test_every_unit_is_closed_though_one_breaks(echo: Echo) -> None:
    recorder = Recorder()

    async def broken() -> None:
        raise ValueError("cannot close")

    first = echo.unit(close=recorder.says("first closed"))
    async with running([first, ServiceUnit("second", {}, lambda _: None, close=broken)]):
        pass
    assert recorder.life == ["first closed"]


async def test_a_unit_that_cannot_start_stops_the_server(echo: Echo, url: str) -> None:
    recorder = Recorder()

    async def broken() -> None:
        raise NotReady("STORE_UNREACHABLE", "no disk")

    with pytest.raises(NotReady, match="no disk"):
        async with running([echo.unit(start=broken, close=recorder.says("closed"))], url=url):
            pass
    assert recorder.life == ["closed"]
    async with running([echo.unit()], url=url) as server:
        assert await caller(server).unary("a") == "a"


async def test_a_method_outside_the_access_table_stops_the_start(echo: Echo) -> None:
    access = echo.access()
    del access[f"/{SERVICE}/Up"]
    with pytest.raises(Invalid) as caught:
        async with running([echo.unit(access=access)]):
            pass
    assert caught.value.reason == "CONFIG_INVALID"
    assert f"/{SERVICE}/Up" in caught.value.message


async def test_an_access_rule_for_nothing_stops_the_start(echo: Echo) -> None:
    with pytest.raises(Invalid, match=r"/x\.Y/Z"):
        async with running([echo.unit(access=echo.access() | {"/x.Y/Z": ANYONE})]):
            pass


async def test_two_units_with_one_service_stop_the_start(echo: Echo) -> None:
    with pytest.raises(Invalid, match="two units"):
        async with running([echo.unit(), echo.unit(name="again")]):
            pass


async def test_a_port_without_keys_stops_the_start(echo: Echo) -> None:
    with pytest.raises(Invalid) as caught:
        await serve([echo.unit()], url="grpc://127.0.0.1:0", keys=None)
    assert caught.value.reason == "CONFIG_INVALID"


async def test_a_server_without_keys_refuses_tokens(echo: Echo, url: str) -> None:
    stop = asyncio.Event()
    listening = asyncio.Event()
    task = asyncio.create_task(
        serve([echo.unit()], url=url, keys=None, stop=stop, on_listening=lambda _: listening.set())
    )
    await listening.wait()
    async with connect(url) as channel:
        assert await Caller(channel).unary("a") == "a"
    stop.set()
    await task


async def test_the_callback_is_told_the_port_that_was_chosen(echo: Echo) -> None:
    told: list[str] = []
    stop = asyncio.Event()

    def on_listening(url: str) -> None:
        told.append(url)
        stop.set()

    keys = ServiceKeys.fresh()
    await serve([echo.unit()], url="grpc://127.0.0.1:0", keys=keys, stop=stop, on_listening=on_listening)
    assert told[0].startswith("grpc://127.0.0.1:")
    assert not told[0].endswith(":0")


async def test_draining_finishes_what_is_in_flight_and_refuses_the_rest(echo: Echo, url: str) -> None:
    release = asyncio.Event()

    async def wait(text: str, context: Context) -> str:
        await release.wait()
        return text

    echo.behave = wait
    async with _serving([echo.unit()], url) as (stop, task), connect(url) as channel:
        in_flight = asyncio.ensure_future(Caller(channel).unary("kept"))
        await echo.started.wait()
        stop.set()
        async with connect(url) as late:
            with pytest.raises((Unavailable, TimeoutError)):
                await Caller(late).unary("late", timeout_s=0.2)
        assert not task.done()
        release.set()
        assert await in_flight == "kept"
        await task
    assert "kept" in echo.finished  # the late one may have come in before the drain began; its caller had given up


async def test_draining_cuts_what_takes_too_long(echo: Echo, url: str) -> None:
    echo.behave = _hang
    async with _serving([echo.unit()], url, drain_s=0.1) as (stop, task), connect(url) as channel:
        in_flight = asyncio.ensure_future(Caller(channel).unary("slow"))
        await echo.started.wait()
        stop.set()
        await task
        assert echo.cancelled.is_set()
        with pytest.raises(Unavailable):
            await in_flight


async def test_draining_ends_a_watch_at_once_and_lets_a_download_finish(echo: Echo, url: str) -> None:
    release = asyncio.Event()

    async def wait(text: str, context: Context) -> str:
        if text == "download":
            await release.wait()
        elif text in echo.finished:
            await asyncio.Event().wait()
        return text

    echo.behave = wait
    async with _serving([echo.unit()], url, drain_s=30) as (stop, task), connect(url) as channel:
        method = Caller(channel).method("WatchAll", "unary_stream")
        async with stream(method, StringValue(value="watch"), timeout_s=20) as watch:
            assert (await anext(watch)).value == "watch"
            echo.started.clear()
            download = asyncio.ensure_future(Caller(channel).down("download"))
            await echo.started.wait()
            stop.set()
            with pytest.raises(Unavailable) as caught:
                await anext(watch)
        assert "resume" in caught.value.message
        release.set()
        assert await download == "download,download,download"
        await asyncio.wait_for(task, 5)


async def test_a_server_that_drains_says_so(echo: Echo, url: str) -> None:
    echo.behave = _hang
    async with _serving([echo.unit()], url, drain_s=0.5) as (stop, _), grpc.aio.insecure_channel(url) as channel:
        health = health_stub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service=SERVICE), timeout=10)
        statuses = aiter(watch)
        assert (await anext(statuses)).status == health_pb2.HealthCheckResponse.SERVING
        stop.set()
        assert (await anext(statuses)).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains(echo: Echo, url: str, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    async with _serving([echo.unit()], url) as (_, task):
        os.kill(os.getpid(), number)
        await asyncio.wait_for(task, 5)
    assert signal.getsignal(number) == before


async def test_health_is_open_and_speaks_for_each_service(server: RunningServer) -> None:
    async with grpc.aio.insecure_channel(server.url) as channel:
        health = health_stub(channel)
        for name in ("", "live", "ready", SERVICE):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health.Check(health_pb2.HealthCheckRequest(service="x.Y"), timeout=5)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_running_server_gives_channels_of_every_role(server: RunningServer) -> None:
    assert server.channel() is server.channel(Role.CLIENT)
    assert server.channel() is not server.channel(Role.EXECUTOR)
    method = Caller(server.channel(Role.LEDGER)).method("Unary", "unary_unary")
    assert await method(StringValue(value="a"), timeout=5) == StringValue(value="a")


async def _hang(text: str, context: Context) -> str:
    await asyncio.Event().wait()
    return text
