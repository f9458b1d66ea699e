"""One finished handler per method: the layers around it are composed when it is registered, not when it is called."""

import asyncio
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from time import perf_counter
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from theory.core.errors import Invalid, Unavailable
from theory.core.ids import IdSource
from theory.wire.context import Call, Context, enter
from theory.wire.layers import Bound, Layer, Surroundings

UNARY_LIMIT_S = 60.0
"""How long a unary call may take whose caller set no deadline."""
STREAM_LIMIT_S = 3600.0
"""How long a stream may take whose caller set no deadline."""
WATCH_LIFE_S = 590.0
"""After this a watch is ended cleanly, whatever its deadline; its caller resumes it."""

LayerFactory: TypeAlias = Callable[[Bound, Surroundings], Layer]
_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_Parse: TypeAlias = Callable[[bytes], Any]
_Dump: TypeAlias = Callable[[Any], bytes]

_KINDS: Mapping[tuple[bool, bool], tuple[str, Callable[..., _Handler]]] = {
    (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler),
    (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler),
    (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler),
    (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler),
}


class Registrar:
    """Stands where generated code expects a server; wraps each handler in its layers and keeps it.

    So a method without a scope stops the start instead of failing a call, and nothing runs between gRPC and the
    finished handler: no interceptor, and no cache that a caller could fill with unknown methods.
    """

    def __init__(self, layers: Sequence[LayerFactory], around: Surroundings) -> None:
        self._layers = layers
        self._around = around
        self.watches = Watches()
        self.handlers: dict[str, dict[str, _Handler]] = {}

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[object]) -> None:
        """Generated code offers the same handlers a second time here; they are not needed."""

    def add_registered_method_handlers(self, service_name: str, method_handlers: Mapping[str, _Handler]) -> None:
        """Wrap and keep the handlers of one service; `Invalid` where it is there already, or has no scope."""
        if service_name in self.handlers:
            raise Invalid("CONFIG_INVALID", f"{service_name} is registered twice")
        self.handlers[service_name] = {
            name: self._wrapped(f"/{service_name}/{name}", handler) for name, handler in method_handlers.items()
        }

    def methods(self) -> Iterable[str]:
        """The full names of everything registered."""
        return (f"/{service}/{name}" for service, handlers in self.handlers.items() for name in handlers)

    def attach(self, server: grpc.aio.Server) -> None:
        """Hand everything to `server`, which has not started yet.

        As one handler for all: of methods that are registered each by itself gRPC has a task each that waits for a
        call, and goes through all of these tasks at every call. With the methods of five services that is 5 to 10 % of
        what an empty call costs.
        """
        server.add_generic_rpc_handlers([_Handlers(self.handlers)])

    def _wrapped(self, method: str, handler: _Handler) -> _Handler:
        if method not in self._around.access:
            raise Invalid("CONFIG_INVALID", f"no scope is stated for {method}")
        takes_stream, gives_stream = bool(handler.request_streaming), bool(handler.response_streaming)
        kind, make = _KINDS[takes_stream, gives_stream]
        behaviour = getattr(handler, kind)
        if gives_stream and inspect.iscoroutinefunction(behaviour):
            raise Invalid("CONFIG_INVALID", f"{method} must yield its messages, as an async generator")
        layers = [factory(Bound(method, takes_stream or gives_stream), self._around) for factory in self._layers]
        pipeline = _Pipeline(method, layers, self.watches, self._around.ids)
        # gRPC gets bytes and gives bytes: what goes wrong in parsing and writing is an error like any other.
        parse, dump = _parser(handler.request_deserializer), _dumper(handler.response_serializer)
        run = _fed(behaviour, parse) if takes_stream else _parsed(behaviour, parse)
        return make(pipeline.streaming(run, dump) if gives_stream else pipeline.unary(run, dump, streams=takes_stream))


class _Handlers(grpc.GenericRpcHandler):
    """Finds a handler by the full name of its method."""

    def __init__(self, handlers: Mapping[str, Mapping[str, _Handler]]) -> None:
        self._by_method = {
            f"/{service}/{name}": handler for service, methods in handlers.items() for name, handler in methods.items()
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "_Handler | None":
        """None where there is no such method."""
        return self._by_method.get(handler_call_details.method)


class Watches:
    """The watches in flight: streams that wait for what has not happened yet, and are resumed where they ended."""

    def __init__(self) -> None:
        self._calls: dict[asyncio.Task[Any], Call] = {}
        self._draining = False

    def drain(self) -> None:
        """End all of them, and those that still arrive; their callers get `Unavailable` and resume elsewhere."""
        self._draining = True
        for task in tuple(self._calls):
            self.end(task, _shuts_down())

    def end(self, task: asyncio.Task[Any], failure: BaseException | None) -> None:
        """End one, with `failure` or cleanly."""
        call = self._calls.get(task)
        if call is not None and not call.ended:
            call.ended, call.failure = True, failure
            task.cancel()

    def add(self, call: Call) -> Callable[[], None]:
        """Take the current task's call in; to be undone with what this returns."""
        task = asyncio.current_task()
        if task is None:  # not under a server
            return _nothing
        self._calls[task] = call
        timer = asyncio.get_running_loop().call_later(WATCH_LIFE_S, self.end, task, None)
        if self._draining:  # it was on its way when the others were ended
            self.end(task, _shuts_down())

        def remove() -> None:
            timer.cancel()
            del self._calls[task]

        return remove


def _shuts_down() -> Unavailable:
    return Unavailable("SERVICE_UNREACHABLE", "the server shuts down: resume from the last position")


class _Pipeline:
    """The layers of one method, and the four shapes of what they surround."""

    def __init__(self, method: str, layers: Sequence[Layer], watches: Watches, ids: IdSource) -> None:
        self._method = method
        self._ids = ids
        numbered = list(enumerate(layers))
        self._enters = [(at, each.enter) for at, each in numbered if type(each).enter is not Layer.enter]
        self._leaves = [(at, each.leave) for at, each in reversed(numbered) if type(each).leave is not Layer.leave]
        self._depth = len(layers)
        self._watches = watches if method.rpartition("/")[2].startswith("Watch") else None

    def unary(self, run: Callable[[Any, Context], Awaitable[Any]], dump: _Dump, *, streams: bool) -> Callable[..., Any]:
        """Around a handler that gives one answer."""
        limit_s = STREAM_LIMIT_S if streams else UNARY_LIMIT_S

        async def handle(request: Any, context: Context) -> bytes:
            call = Call(self._method, perf_counter(), self._ids)
            try:
                self._enter(call, context)
                if call.deadline is None:
                    async with asyncio.timeout(limit_s):
                        answer = dump(await run(request, context))
                else:
                    answer = dump(await run(request, context))
            except BaseException as error:
                call.failure = error
                self._leave(call, context)
                if call.answer is None:
                    raise
                await context.abort(*call.answer)
            self._leave(call, context)
            return answer

        return handle

    def streaming(self, run: Callable[[Any, Context], AsyncIterable[Any]], dump: _Dump) -> Callable[..., Any]:
        """Around a handler that gives a stream.

        A coroutine that writes, not a generator: so a cancellation always arrives here, also between two messages.
        """

        async def handle(request: Any, context: Context) -> None:
            call = Call(self._method, perf_counter(), self._ids)
            remove = _nothing
            try:
                self._enter(call, context)
                if self._watches is not None:
                    remove = self._watches.add(call)
                async with asyncio.timeout(STREAM_LIMIT_S if call.deadline is None else None):
                    await _write_all(run(request, context), dump, context)
            except BaseException as error:
                if not (call.ended and isinstance(error, asyncio.CancelledError)):
                    call.failure = error
                elif task := asyncio.current_task():
                    task.uncancel()
                self._leave(call, context)
                if call.answer is None and call.failure is not None:
                    raise
            else:
                self._leave(call, context)
            finally:
                remove()
            if call.answer is not None:
                await context.abort(*call.answer)

        return handle

    def _enter(self, call: Call, context: Context) -> None:
        enter(call)
        for at, entering in self._enters:
            call.entered = at
            entering(call, context)
        call.entered = self._depth

    def _leave(self, call: Call, context: Context) -> None:
        for at, leaving in self._leaves:
            if at < call.entered:
                leaving(call, context)


async def _write_all(messages: AsyncIterable[Any], dump: _Dump, context: Context) -> None:
    try:
        async for message in messages:
            await context.write(dump(message))
    finally:
        if (close := getattr(messages, "aclose", None)) is not None:
            await close()


def _parsed(behaviour: Callable[..., Any], parse: _Parse) -> Callable[[Any, Context], Any]:
    return lambda request, context: behaviour(parse(request), context)


def _fed(behaviour: Callable[..., Any], parse: _Parse) -> Callable[[Any, Context], Any]:
    async def each(requests: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        async for request in requests:
            yield parse(request)

    return lambda requests, context: behaviour(each(requests), context)


def _parser(deserializer: _Parse | None) -> _Parse:
    if deserializer is None:
        return _same

    def parse(raw: bytes) -> Any:
        try:
            return deserializer(raw)
        except DecodeError:
            raise Invalid("FIELD_INVALID", "the bytes are no message of this method", field="") from None

    return parse


def _dumper(serializer: _Dump | None) -> _Dump:
    """Writes messages; bytes are a message that the handler has written by itself, as `chunks.frame` does."""
    if serializer is None:
        return _same
    return lambda message: message if type(message) is bytes else serializer(message)


def _same(message: Any) -> Any:
    return message


def _nothing() -> None:
    """Undo nothing."""
