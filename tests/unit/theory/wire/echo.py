"""A service with one method of each shape, whose behaviour a test chooses."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import StringValue
from grpc_health.v1 import health_pb2_grpc

from theory.wire.channel import call, send, stream
from theory.wire.context import Context
from theory.wire.identity import ANYONE, Role, Scope, only
from theory.wire.server import RunningServer, ServiceUnit

SERVICE = "test.v1.Echo"
SHAPES = ("Unary", "Down", "Up", "Both")
METHODS = (*SHAPES, "WatchAll", "ForExecutor")

Behaviour = Callable[[str, Context], Awaitable[str]]


async def same(text: str, _context: Context) -> str:
    return text


class Echo:
    """Answers each text with what `behave` makes of it; a stream answers each text three times."""

    def __init__(self) -> None:
        self.behave: Behaviour = same
        self.finished: list[str] = []
        self.cancelled = asyncio.Event()
        self.started = asyncio.Event()

    def access(self) -> dict[str, Scope]:
        table = dict.fromkeys((f"/{SERVICE}/{name}" for name in METHODS), ANYONE)
        return table | {f"/{SERVICE}/ForExecutor": only(Role.EXECUTOR)}

    def unit(self, **changes: Any) -> ServiceUnit:
        return ServiceUnit(**{"name": "echo", "access": self.access(), "register": self.register, **changes})

    def register(self, server: grpc.aio.Server) -> None:
        pair: Any = (StringValue.FromString, StringValue.SerializeToString)
        server.add_registered_method_handlers(
            SERVICE,
            {
                "Unary": grpc.unary_unary_rpc_method_handler(self.unary, *pair),
                "Down": grpc.unary_stream_rpc_method_handler(self.down, *pair),
                "Up": grpc.stream_unary_rpc_method_handler(self.up, *pair),
                "Both": grpc.stream_stream_rpc_method_handler(self.both, *pair),
                "WatchAll": grpc.unary_stream_rpc_method_handler(self.down, *pair),
                "ForExecutor": grpc.unary_unary_rpc_method_handler(self.unary, *pair),
            },
        )

    async def unary(self, request: StringValue, context: Context) -> StringValue:
        return StringValue(value=await self._answer(request.value, context))

    async def down(self, request: StringValue, context: Context) -> AsyncIterator[StringValue]:
        for _ in range(3):
            yield StringValue(value=await self._answer(request.value, context))

    async def up(self, requests: AsyncIterator[StringValue], context: Context) -> StringValue:
        return StringValue(value=",".join([await self._answer(each.value, context) async for each in requests]))

    async def both(self, requests: AsyncIterator[StringValue], context: Context) -> AsyncIterator[StringValue]:
        async for each in requests:
            yield StringValue(value=await self._answer(each.value, context))

    async def _answer(self, text: str, context: Context) -> str:
        self.started.set()
        try:
            answer = await self.behave(text, context)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        self.finished.append(text)
        return answer


class Caller:
    """The four shapes from the other side, by the functions that clients use."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    def method(self, name: str, kind: str) -> Any:
        return getattr(self._channel, kind)(
            f"/{SERVICE}/{name}",
            request_serializer=StringValue.SerializeToString,
            response_deserializer=StringValue.FromString,
        )

    def raw(self, name: str) -> Any:
        """A method by its full name, bytes in and bytes out."""
        return self._channel.unary_unary(name)

    async def unary(self, text: str = "a", *, name: str = "Unary", timeout_s: float = 10) -> str:
        answer: StringValue = await call(self.method(name, "unary_unary"), StringValue(value=text), timeout_s=timeout_s)
        return answer.value

    async def down(self, text: str = "a", *, name: str = "Down", timeout_s: float = 10) -> str:
        running = stream(self.method(name, "unary_stream"), StringValue(value=text), timeout_s=timeout_s)
        async with running as messages:
            return ",".join([message.value async for message in messages])

    async def up(self, text: str = "a", *, timeout_s: float = 10) -> str:
        answer: StringValue = await send(self.method("Up", "stream_unary"), _each(text), timeout_s=timeout_s)
        return answer.value

    async def both(self, text: str = "a", *, timeout_s: float = 10) -> str:
        async with stream(self.method("Both", "stream_stream"), _each(text), timeout_s=timeout_s) as messages:
            return ",".join([message.value async for message in messages])

    def of(self, shape: str) -> Callable[..., Awaitable[str]]:
        method: Callable[..., Awaitable[str]] = getattr(self, shape.lower())
        return method


def caller(server: RunningServer, role: Role | None = Role.CLIENT) -> Caller:
    return Caller(server.channel(role))


def health_stub(channel: grpc.aio.Channel) -> Any:
    """Generated without types."""
    return health_pb2_grpc.HealthStub(channel)


async def _each(text: str) -> AsyncGenerator[StringValue, None]:
    for each in text.split(","):
        yield StringValue(value=each)
