"""Handlers bound to the routes of a generated base class; those without one answer UNIMPLEMENTED with their name.

A handler is a method named as its RPC: `async def Name(self, request) -> reply`, or an async generator of replies where
the RPC streams them. Left unbound, an RPC would be answered without a content type, which the client takes for a broken
connection and repeats.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, ClassVar

from grpclib import GRPCError, Status
from grpclib.const import Cardinality, Handler

from tests.fakes.modal.faults import AFTER, BEFORE
from tests.fakes.modal.hub import Hub

_STREAMED = frozenset({Cardinality.UNARY_STREAM, Cardinality.STREAM_STREAM})


class Service:
    """A gRPC service of which only some RPCs exist."""

    BASE: ClassVar[type]
    """The generated base class: it has the routes, and an abstract method for each RPC."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def authorize(self, rpc: str, meta: Mapping[str, str]) -> None:
        """Raise UNAUTHENTICATED where the caller may not call."""

    def __mapping__(self) -> dict[str, Handler]:
        names = dict.fromkeys(self.BASE.__abstractmethods__, _nothing)  # type: ignore[attr-defined]
        routes: Mapping[str, Handler] = type("Skeleton", (self.BASE,), names)().__mapping__()
        return {path: self._bound(path.rpartition("/")[2], handler) for path, handler in routes.items()}

    def _bound(self, rpc: str, handler: Handler) -> Handler:
        found = getattr(self, rpc, None)
        if found is None:
            return handler._replace(func=self._missing(rpc))
        if handler.cardinality is Cardinality.STREAM_UNARY:
            return handler._replace(func=self._gathering(rpc, found))
        if handler.cardinality in _STREAMED:
            return handler._replace(func=self._streaming(rpc, found))
        return handler._replace(func=self._unary(rpc, found))

    def _missing(self, rpc: str) -> Callable[[Any], Awaitable[None]]:
        async def handle(stream: Any) -> None:
            self.hub.missing.add(rpc)
            raise GRPCError(Status.UNIMPLEMENTED, f"the fake does not implement {rpc}")

        return handle

    def _unary(self, rpc: str, answer: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[None]]:
        async def handle(stream: Any) -> None:
            request, key = await self._admitted(rpc, stream)
            known = (rpc, key)
            if self.hub.dedupe and known in self.hub.replies:
                reply = self.hub.replies[known]
            else:
                reply = await answer(request)
                if key:
                    self.hub.replies[known] = reply
            self.hub.faults.fire(rpc, AFTER, request)
            await stream.send_message(reply)

        return handle

    def _streaming(self, rpc: str, answer: Callable[[Any], AsyncIterator[Any]]) -> Callable[[Any], Awaitable[None]]:
        async def handle(stream: Any) -> None:
            request, _ = await self._admitted(rpc, stream)
            async for reply in answer(request):
                await stream.send_message(reply)
            self.hub.faults.fire(rpc, AFTER, request)

        return handle

    def _gathering(
        self, rpc: str, answer: Callable[[AsyncIterator[Any]], Awaitable[Any]]
    ) -> Callable[[Any], Awaitable[None]]:
        async def handle(stream: Any) -> None:
            first, _ = await self._admitted(rpc, stream)

            async def requests() -> AsyncIterator[Any]:
                yield first
                async for request in stream:
                    yield request

            reply = await answer(requests())
            self.hub.faults.fire(rpc, AFTER, first)
            await stream.send_message(reply)

        return handle

    async def _admitted(self, rpc: str, stream: Any) -> tuple[Any, str]:
        meta = {name: value for name, value in stream.metadata.items() if isinstance(value, str)}
        request = await stream.recv_message()
        self.hub.calls.append(rpc)
        self.authorize(rpc, meta)
        self.hub.faults.fire(rpc, BEFORE, request)
        return request, meta.get("x-idempotency-key", "")


async def _nothing(self: object, stream: object) -> None:
    """In the place of an abstract method."""
