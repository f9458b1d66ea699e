"""A socket for one caller whom nobody trusts: passes the calls of a closed list on, unread, with a token of its own."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import grpc

from theory.core.clock import Clock
from theory.core.errors import NotReady, TheoryError
from theory.core.secret import Secret
from theory.wire.context import Answer, Context
from theory.wire.options import GATE_OPTIONS
from theory.wire.status import DETAILS_KEY, answer_of, from_rpc_error

MAX_IN_FLIGHT = 32
"""How many calls of one gate are passed on at once; the others wait, and hold up nobody else's."""
CALLS_PER_S = 500
"""How many calls one gate passes on in a second, once it has used up `BURST`."""
BURST = 1_000
"""How many calls a gate that was idle passes on as they come."""
LIMIT_S = 3600.0
"""How long one call may take, whatever its caller says."""

_SHORTEST_S = 0.001
"""Nobody waits for less."""

_log = logging.getLogger(__name__)
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}").fullmatch
_LATE: Answer = (grpc.StatusCode.DEADLINE_EXCEEDED, "the call did not end before its deadline", ())


class Gate:
    """A server of its own on a unix socket. It answers the methods of `routes` and no other: `UNIMPLEMENTED`.

    Of a caller's metadata the trace alone goes on, and the deadline. Every call is made with what `bearer` gives, over
    channels that bear no identity. Answers come back as they are; what gRPC itself says, which may name paths of this
    machine, does not. The caller of a full gate waits: what it does too much of slows down nobody but itself.
    """

    def __init__(
        self, routes: Mapping[str, grpc.aio.Channel], clock: Clock, bearer: Callable[[], Awaitable[Secret]]
    ) -> None:
        self._calls: Mapping[str, Any] = {method: channel.stream_stream(method) for method, channel in routes.items()}
        self._bearer = bearer
        self._places = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._pace = Pace(CALLS_PER_S, BURST, clock)
        self._server = grpc.aio.server(options=GATE_OPTIONS)
        self._server.add_generic_rpc_handlers([_Handlers({method: self._handler(method) for method in routes})])

    async def open(self, target: str) -> None:
        """Listen at `target`, a path of at most 107 bytes; a socket that was left behind there is replaced.

        `NotReady` (`ADDRESS_TAKEN`) where nothing can listen there.
        """
        try:
            self._server.add_insecure_port(f"unix:{target}")
        except RuntimeError as error:
            raise NotReady("ADDRESS_TAKEN", "something is in the way of the socket of the attempt", url="") from error
        await self._server.start()

    async def close(self) -> None:
        """End every call at once, and remove the socket."""
        await self._server.stop(0)

    def _handler(self, method: str) -> "grpc.RpcMethodHandler[Any, Any]":
        async def handle(requests: AsyncIterator[bytes], context: Context) -> None:
            left: float | None = context.time_remaining()  # None without a deadline, whatever the types say
            try:
                async with asyncio.timeout(LIMIT_S if left is None else min(left, LIMIT_S)), self._places:
                    await self._pace.wait()
                    await self._pass_on(method, requests, context)
            except grpc.aio.AioRpcError as error:
                answer = _passed_back(error)
            except TheoryError as error:
                answer = answer_of(error)
            except TimeoutError:
                answer = _LATE
            else:
                return
            await context.abort(*answer)

        # In this shape a call is admitted before its message is read, and all four shapes are one.
        return grpc.stream_stream_rpc_method_handler(handle)

    async def _pass_on(self, method: str, requests: AsyncIterator[bytes], context: Context) -> None:
        token = await self._bearer()
        metadata = (("authorization", f"Bearer {token.reveal()}"), *_trace_of(context))
        call = self._calls[method](metadata=metadata, timeout=context.time_remaining())
        sending = asyncio.create_task(_sent(requests, call))
        try:
            while (message := await call.read()) is not grpc.aio.EOF:
                await context.write(message)
        finally:
            sending.cancel()
            call.cancel()


class Pace:
    """Lets `burst` pass at once and `per_s` in a second from then on; whoever comes too early waits in turn."""

    def __init__(self, per_s: float, burst: int, clock: Clock) -> None:
        self._step_s = 1 / per_s
        self._ahead_s = burst / per_s
        self._clock = clock
        self._next = clock.monotonic() - self._ahead_s

    async def wait(self) -> None:
        """Take the next place, and return when it is its turn; one that is given up meanwhile is used up, too."""
        now = self._clock.monotonic()
        self._next = max(self._next, now - self._ahead_s) + self._step_s
        if self._next - now > _SHORTEST_S:
            await self._clock.sleep(self._next - now)


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, by_method: Mapping[str, "grpc.RpcMethodHandler[Any, Any]"]) -> None:
        self._by_method = by_method

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """None where the gate is closed."""
        return self._by_method.get(handler_call_details.method)


async def _sent(requests: AsyncIterator[bytes], call: Any) -> None:
    """Pass the requests on, until the one side has no more or the other wants none."""
    try:
        async for request in requests:
            await call.write(request)
        await call.done_writing()
    except (grpc.aio.AioRpcError, grpc.aio.InternalError, grpc.aio.UsageError, asyncio.InvalidStateError):
        return


def _trace_of(context: Context) -> tuple[tuple[str, str], ...]:
    for key, value in context.invocation_metadata() or ():
        if key == "traceparent" and isinstance(value, str) and _TRACEPARENT(value):
            return ((key, value),)
    return ()


def _passed_back(error: grpc.aio.AioRpcError) -> Answer:
    """The service's own answer as it is; of what is not its own, what it means."""
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            return error.code(), error.details() or "", ((key, value),)
    meant = from_rpc_error(error)
    if isinstance(meant, TimeoutError):
        return _LATE
    if isinstance(meant, TheoryError) and meant.reason != "FOREIGN_STATUS":
        return answer_of(meant)
    _log.warning("gate.foreign", extra={"theory_fields": {"code": error.code().name, "words": error.details()}})
    return error.code(), "the service did not answer this call", ()
