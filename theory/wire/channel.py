"""Channels to services: who calls, how long it waits, and that only Theory's own errors come out."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, Self, TypeVar, cast

import grpc
from google.protobuf.message import Message

from theory.core.errors import Invalid, NotReady, Unavailable
from theory.core.ids import IdSource, SystemIds
from theory.wire.address import Address
from theory.wire.context import current_call
from theory.wire.options import CHANNEL_OPTIONS, MESSAGE_BYTES, PASSING_OPTIONS
from theory.wire.status import from_rpc_error

TIMEOUT_S = 30.0
"""How long a call waits unless its caller says otherwise."""
STREAM_TIMEOUT_S = 900.0
"""How long a stream may live: servers end their watches within 10 minutes."""

_HANDED_DOWN = 0.95
_Response = TypeVar("_Response")

# What gRPC itself says of an upload whose server died in the middle.
_BROKEN_WHILE_SENDING = "Internal error from Core"
_Metadata = tuple[tuple[str, str], ...]


def connect(url: str, *, token: str | None = None, ids: IdSource | None = None) -> grpc.aio.Channel:
    """A channel to the service at `unix:///path` or `grpc://host:port`. It connects when it is first used.

    Every call through it, by whatever stub, carries `token`, a request id and the trace of the call being served.
    """
    address = Address.parse(url)
    return IdentifiedChannel(
        grpc.aio.insecure_channel(address.target, options=CHANNEL_OPTIONS), url=url, token=token, ids=ids or SystemIds()
    )


def passing(url: str, *, ids: IdSource | None = None) -> grpc.aio.Channel:
    """A channel without identity, for calls that are passed on: each brings its own token, and is sent once."""
    address = Address.parse(url)
    return IdentifiedChannel(
        grpc.aio.insecure_channel(address.target, options=PASSING_OPTIONS), url=url, token=None, ids=ids or SystemIds()
    )


async def call(
    method: Callable[..., Awaitable[_Response]], request: object, *, timeout_s: float = TIMEOUT_S
) -> _Response:
    """The answer of a unary method of a stub; raises `TheoryError` or `TimeoutError`.

    `Invalid` (`MESSAGE_TOO_LARGE`) for a request that no message holds: nobody has seen it.
    Waits for `timeout_s`, and inside a served call for no longer than 95 % of the time which that call has left.
    """
    try:
        return await method(request, timeout=budget(timeout_s))
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and _too_large(request):
            sentence = f"a request has at most {MESSAGE_BYTES} bytes: send less at once"
            raise Invalid("MESSAGE_TOO_LARGE", sentence, max_bytes=str(MESSAGE_BYTES)) from None
        raise from_rpc_error(error, url=url_of(method)) from None


def _too_large(request: object) -> bool:
    """Whether gRPC refused to send it; asked afterwards, because asking costs as much as to write it."""
    return isinstance(request, Message) and request.ByteSize() > MESSAGE_BYTES


async def send(
    method: Callable[..., Awaitable[_Response]],
    requests: AsyncGenerator[object, None],
    *,
    timeout_s: float = STREAM_TIMEOUT_S,
) -> _Response:
    """The answer of a method that takes a stream; errors as `call`, and whatever `requests` itself raises.

    A server may answer before it has read everything; then the rest is not asked for. `requests` is closed in any case.
    """
    running: Any = method(timeout=budget(timeout_s))
    try:
        # Written here, one by one: given the generator, gRPC would turn what it raises into a cancellation.
        async with aclosing(requests):
            async for request in requests:
                if not await _done(running.write(request)):
                    break
            else:
                await _done(running.done_writing())
        return cast("_Response", await running)
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.INTERNAL and error.details() == _BROKEN_WHILE_SENDING:
            message = "the connection broke while sending"
            raise Unavailable("SERVICE_UNREACHABLE", message, url=url_of(method)) from None
        raise from_rpc_error(error, url=url_of(method)) from None
    finally:
        running.cancel()


async def _done(writing: Awaitable[None]) -> bool:
    """Whether the server still wanted it; if not, its answer says why."""
    try:
        await writing
    except (grpc.aio.AioRpcError, grpc.aio.InternalError, asyncio.InvalidStateError):
        return False
    return True


@asynccontextmanager
async def stream(
    method: Callable[..., AsyncIterable[_Response]], request: object, *, timeout_s: float = STREAM_TIMEOUT_S
) -> AsyncIterator[AsyncIterator[_Response]]:
    """The messages of a method that answers with a stream; errors as `call`, where they are read.

    Leaving the block cancels the call: gRPC would keep an abandoned one alive for ever (grpc/grpc#43462).
    """
    running: Any = method(request, timeout=budget(timeout_s))
    try:
        async with aclosing(_messages(running, url_of(method))) as messages:
            yield messages
    finally:
        running.cancel()


def budget(timeout_s: float) -> float:
    """How long a call may take: `timeout_s`, but no more than 95 % of what the call being served has left.

    `TimeoutError` where nothing is left; `NotReady` (`DEADLINE_MISSING`) unless `timeout_s` is a positive number.
    """
    if not 0 < timeout_s < float("inf"):
        raise NotReady("DEADLINE_MISSING", "every call has a deadline: give a positive timeout_s")
    served = current_call()
    remaining = None if served is None else served.time_remaining()
    if remaining is None:
        return timeout_s
    if remaining <= 0:
        raise TimeoutError("the call being served has no time left")
    return min(timeout_s, remaining * _HANDED_DOWN)


def url_of(method: object) -> str:
    """Where `method` of a stub leads to; empty unless its channel came from `connect`."""
    return getattr(method, "url", "")


async def _messages(running: AsyncIterable[_Response], url: str) -> AsyncGenerator[_Response, None]:
    try:
        async for message in running:
            yield message
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error, url=url) from None


class IdentifiedChannel(grpc.aio.Channel):
    """A channel whose every call says who makes it.

    A wrapper and no interceptor: interceptors cost a task per call. `as_caller` gives the same connection another
    identity.
    """

    def __init__(self, inner: grpc.aio.Channel, *, url: str, token: str | None, ids: IdSource) -> None:
        self._inner = inner
        self._ids = ids
        self._identity: _Metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self.url = url

    def as_caller(self, token: str | None) -> "IdentifiedChannel":
        """This connection, used by the holder of `token`. Closing either closes both."""
        return IdentifiedChannel(self._inner, url=self.url, token=token, ids=self._ids)

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:
        """As gRPC's own."""
        return self._identified(self._inner.unary_unary(*args, **kwargs))

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        """As gRPC's own."""
        return self._identified(self._inner.unary_stream(*args, **kwargs))

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        """As gRPC's own."""
        return self._identified(self._inner.stream_unary(*args, **kwargs))

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        """As gRPC's own."""
        return self._identified(self._inner.stream_stream(*args, **kwargs))

    def _identified(self, method: Callable[..., Any]) -> "_Method":
        return _Method(method, self._metadata, self.url)

    def _metadata(self) -> _Metadata:
        served = current_call()
        if served is None:
            return (*self._identity, ("x-request-id", self._ids.request_id().text))
        named = (*self._identity, ("x-request-id", served.request_id or self._ids.request_id().text))
        return (*named, ("traceparent", served.traceparent)) if served.traceparent else named

    async def close(self, grace: float | None = None) -> None:
        """As gRPC's own."""
        await self._inner.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002 - gRPC's
        """As gRPC's own."""
        return self._inner.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """As gRPC's own."""
        await self._inner.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """As gRPC's own."""
        await self._inner.channel_ready()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


class _Method:
    """One method of a stub; called as gRPC's own."""

    __slots__ = ("_inner", "_metadata", "url")

    def __init__(self, inner: Callable[..., Any], metadata: Callable[[], _Metadata], url: str) -> None:
        self._inner = inner
        self._metadata = metadata
        self.url = url

    def __call__(self, *args: Any, metadata: Any = None, **kwargs: Any) -> Any:
        own = self._metadata()
        return self._inner(*args, metadata=own if metadata is None else (*own, *metadata), **kwargs)
