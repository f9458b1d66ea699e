"""What passes through a gate, as what, and what does not, in each of the four shapes."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from tests.clocks import AskedClock
from tests.unit.theory.wire.echo import METHODS, SERVICE, SHAPES, Caller, Echo
from theory.core.clock import SystemClock
from theory.core.errors import Denied, Exhausted, NotReady, TheoryError, Unauthenticated, Unavailable, Unsupported
from theory.core.secret import Secret
from theory.wire import gate
from theory.wire.channel import call, connect, passing
from theory.wire.context import Context, current_principal
from theory.wire.gate import Gate, Pace
from theory.wire.identity import Role
from theory.wire.options import MESSAGE_BYTES
from theory.wire.server import RunningServer

_SHAPES = pytest.mark.parametrize("shape", SHAPES)
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_OPEN = (*SHAPES, "ForExecutor")


class Passage:
    """A gate before the echo service, and a caller in front of it."""

    def __init__(self, server: RunningServer, folder: Path) -> None:
        assert server.keys is not None
        self.token = Secret("token", server.keys.token_of(Role.LEDGER))
        self.asked = 0
        self.fails: Exception | None = None
        self.path = folder / "gate.sock"
        self.gate: Gate
        self._server = server

    async def bearer(self) -> Secret:
        self.asked += 1
        if self.fails is not None:
            raise self.fails
        return self.token

    @asynccontextmanager
    async def opened(self, *, url: str = "") -> AsyncIterator[Caller]:
        async with passing(url or self._server.url) as channel, connect(f"unix://{self.path}") as inner:
            self.gate = Gate(
                dict.fromkeys((f"/{SERVICE}/{name}" for name in _OPEN), channel), SystemClock(), self.bearer
            )
            await self.gate.open(str(self.path))
            try:
                yield Caller(inner)
            finally:
                await self.gate.close()


@pytest.fixture
def passage(server: RunningServer, tmp_path: Path) -> Passage:
    return Passage(server, tmp_path)


@_SHAPES
async def test_calls_of_every_shape_pass(passage: Passage, shape: str) -> None:
    expected = {"Unary": "a", "Down": "a,a,a", "Up": "a", "Both": "a"}
    async with passage.opened() as caller:
        assert await caller.of(shape)("a") == expected[shape]


async def test_streams_pass_in_both_directions(passage: Passage) -> None:
    async with passage.opened() as caller:
        assert await caller.up("a,b,c") == "a,b,c"
        assert await caller.both("a,b,c") == "a,b,c"


async def test_the_caller_is_who_the_token_says_whatever_it_says_itself(
    passage: Passage, server: RunningServer, echo: Echo
) -> None:
    async def who(text: str, context: Context) -> str:
        names = {key for key, _ in context.invocation_metadata() or ()}
        return f"{current_principal().role} {'x-mine' in names} {'traceparent' in names}"

    echo.behave = who
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    assert server.keys is not None
    forged = f"Bearer {server.keys.token_of(Role.EXECUTOR)}"
    async with passage.opened() as caller:
        method = caller.method("Unary", "unary_unary")
        metadata = (("authorization", forged), ("x-mine", "1"), ("traceparent", trace))

        answer = await method(StringValue(value="a"), metadata=metadata)
        assert answer.value == "ledger False True"
        with pytest.raises(Denied):
            await caller.unary(name="ForExecutor")


async def test_what_is_no_trace_is_dropped(passage: Passage, echo: Echo) -> None:
    async def names(text: str, context: Context) -> str:
        return ",".join(key for key, _ in context.invocation_metadata() or () if key == "traceparent")

    echo.behave = names
    async with passage.opened() as caller:
        answer = await caller.method("Unary", "unary_unary")(
            StringValue(value="a"), metadata=(("traceparent", "no trace"),)
        )
        assert answer.value == ""


@_SHAPES
async def test_errors_pass_as_they_are(passage: Passage, echo: Echo, shape: str) -> None:
    async def refuse(text: str, context: Context) -> str:
        raise Exhausted("QUOTA_EXCEEDED", "a sentence", retry_after_s=2.0, quota="topics")

    echo.behave = refuse
    async with passage.opened() as caller:
        with pytest.raises(Exhausted) as caught:
            await caller.of(shape)()
    assert (caught.value.reason, caught.value.message) == ("QUOTA_EXCEEDED", "a sentence")
    assert (caught.value.metadata, caught.value.retry_after_s) == ({"quota": "topics"}, 2.0)


async def test_a_method_that_is_not_named_is_none(passage: Passage) -> None:
    assert "WatchAll" in METHODS
    others = ("/grpc.health.v1.Health/Check", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/", "//")
    async with passage.opened() as caller:
        with pytest.raises(Unsupported):
            await caller.down(name="WatchAll")
        for method in others:
            with pytest.raises(Unsupported):
                await call(caller.raw(method), b"")
    assert passage.asked == 0


async def test_what_the_token_cannot_be_had_for_is_told(passage: Passage) -> None:
    passage.fails = Unauthenticated("TOKEN_INVALID", "a sentence")
    async with passage.opened() as caller:
        with pytest.raises(Unauthenticated):
            await caller.unary()
        passage.fails = None
        assert await caller.unary() == "a"


async def test_a_service_that_is_away_names_no_path_of_this_machine(passage: Passage, tmp_path: Path) -> None:
    async with passage.opened(url=f"unix://{tmp_path}/nobody.sock"), passing(f"unix://{passage.path}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await Caller(channel).method("Unary", "unary_unary")(StringValue(value="a"))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    said = f"{caught.value.details()} {caught.value.trailing_metadata()!r} {caught.value.debug_error_string()}"
    assert "nobody.sock" not in said


async def test_a_bug_of_the_service_tells_nothing(passage: Passage, echo: Echo) -> None:
    async def break_down(text: str, context: Context) -> str:
        await context.abort(grpc.StatusCode.UNKNOWN, "words with /a/path")
        return ""

    echo.behave = break_down
    async with passage.opened() as caller:
        with pytest.raises(TheoryError) as caught:
            await caller.unary()
    assert "/a/path" not in str(caught.value)


async def test_the_deadline_of_the_caller_goes_on(passage: Passage, echo: Echo) -> None:
    async def wait(text: str, context: Context) -> str:
        await asyncio.Event().wait()
        return ""

    echo.behave = wait
    async with passage.opened() as caller:
        with pytest.raises(TimeoutError):
            await caller.unary(timeout_s=0.1)
        await echo.cancelled.wait()


async def test_a_caller_that_goes_away_ends_its_call(passage: Passage, echo: Echo) -> None:
    async def wait(text: str, context: Context) -> str:
        await asyncio.Event().wait()
        return ""

    echo.behave = wait
    async with passage.opened() as caller:
        asking = asyncio.create_task(caller.down())
        await echo.started.wait()
        asking.cancel()
        await echo.cancelled.wait()


async def test_a_gate_that_closes_ends_its_calls_and_leaves_nothing(passage: Passage, echo: Echo) -> None:
    async def wait(text: str, context: Context) -> str:
        await asyncio.Event().wait()
        return ""

    echo.behave = wait
    async with passage.opened(), passing(f"unix://{passage.path}") as channel:
        asking = asyncio.create_task(Caller(channel).unary(timeout_s=5))
        await echo.started.wait()
        assert passage.path.is_socket()
        await passage.gate.close()
        await echo.cancelled.wait()
        with pytest.raises(Unavailable):
            await asking
        assert not passage.path.exists()


async def test_a_socket_that_was_left_behind_is_replaced(passage: Passage) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(passage.path))
    async with passage.opened() as caller:
        assert await caller.unary() == "a"


async def test_where_nothing_can_listen_that_is_said(passage: Passage) -> None:
    passage.path.mkdir()
    with pytest.raises(NotReady) as caught:
        async with passage.opened():
            pass
    assert caught.value.reason == "ADDRESS_TAKEN"


async def test_a_message_that_is_too_large_is_refused_and_the_next_one_passes(passage: Passage) -> None:
    async with passage.opened() as caller:
        unbounded = (("grpc.max_send_message_length", -1),)
        async with grpc.aio.insecure_channel(f"unix:{passage.path}", options=unbounded) as large:
            method: Any = large.unary_unary(f"/{SERVICE}/Unary")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await method(b"x" * (MESSAGE_BYTES + 1))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await caller.unary() == "a"


async def test_bytes_that_are_no_http_reach_nobody(passage: Passage) -> None:
    async with passage.opened() as caller:
        for garbage in (
            b"\0" * 100_000,
            b"GET / HTTP/1.1\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 1000,
        ):
            await asyncio.to_thread(_thrown, passage.path, garbage)
        assert await caller.unary() == "a"
    assert passage.asked == 1


async def test_connections_are_counted(passage: Passage) -> None:
    async with passage.opened() as caller:
        assert await caller.unary() == "a"
        held = await asyncio.to_thread(_held, passage.path, 200)
        assert len(held) < 16
        assert await caller.unary() == "a"
        for each in held:
            each.close()
        assert held


async def test_a_full_gate_lets_callers_wait(passage: Passage, echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "MAX_IN_FLIGHT", 2)
    go, full, began = asyncio.Event(), asyncio.Event(), []

    async def wait(text: str, context: Context) -> str:
        began.append(text)
        if len(began) == gate.MAX_IN_FLIGHT:
            full.set()
        await go.wait()
        return text

    echo.behave = wait
    async with passage.opened() as caller:
        asking = [asyncio.create_task(caller.unary(str(number))) for number in range(4)]
        await full.wait()
        with pytest.raises(TimeoutError):
            await caller.unary("late", timeout_s=0.1)
        assert len(began) == 2
        go.set()
        assert sorted(await asyncio.gather(*asking)) == ["0", "1", "2", "3"]


async def test_one_who_reads_slowly_holds_up_nobody_else(passage: Passage, echo: Echo) -> None:
    large = "x" * 1_000_000

    async def much(text: str, context: Context) -> str:
        return large if text == "much" else text

    echo.behave = much
    async with passage.opened() as caller:
        method = caller.method("Down", "unary_stream")
        slow = [method(StringValue(value="much"), timeout=10) for _ in range(8)]
        for each in slow:
            await each.read()
        assert await caller.unary("a") == "a"
        for each in slow:
            assert len((await each.read()).value) == len(large)
            each.cancel()


async def test_calls_beyond_the_burst_are_paced() -> None:
    clock = AskedClock()
    pace = Pace(4, 3, clock)  # in powers of two, which floats hold exactly
    for _ in range(3):
        await pace.wait()
    assert clock.asked == []
    waiting = [asyncio.create_task(pace.wait()) for _ in range(2)]
    await clock.until_asked(0.5)
    assert clock.asked == [0.25, 0.5]
    clock.advance(10)
    await asyncio.gather(*waiting)
    for _ in range(3):
        await pace.wait()
    assert len(clock.asked) == 2, "whoever was idle has its burst again"


def _thrown(path: Path, garbage: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as thrower:
        thrower.settimeout(5)
        thrower.connect(str(path))
        try:
            thrower.sendall(garbage)
            while thrower.recv(4096):
                continue
        except OSError:
            return


def _held(path: Path, count: int) -> list[socket.socket]:
    """Of so many connections those that are answered."""
    held = []
    for _ in range(count):
        each = socket.socket(socket.AF_UNIX)
        each.settimeout(5)
        try:
            each.connect(str(path))
            each.sendall(_PREFACE + b"\0\0\0\4\0\0\0\0\0")
            answered = bool(each.recv(1))
        except OSError:
            answered = False
        if answered:
            held.append(each)
        else:
            each.close()
    return held
