"""What a served call knows about itself: who calls, under which request id, and how much time is left."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter
from typing import Any, TypeAlias

import grpc

from theory.core.grant import AttemptGrant
from theory.core.ids import IdSource, SystemIds
from theory.wire.identity import Principal

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
"""The second argument of every method of a servicer."""


Answer: TypeAlias = tuple[grpc.StatusCode, str, tuple[tuple[str, bytes], ...]]
"""A status as gRPC takes it: code, message, trailers."""


class Call:
    """One call being served. The layers of `theory.wire.server.STACK` fill it in, from the outside to the inside.

    No dataclass: one is made per call, and what stays at its default costs nothing this way.
    """

    traceparent: str = ""
    """W3C trace context as the caller sent it; empty where it sent none."""
    authorization: str = ""
    principal: Principal | None = None
    deadline: float | None = None
    """On the scale of `perf_counter`; None where the caller set none."""
    failure: BaseException | None = None
    """What the handler, or a layer, raised."""
    code: grpc.StatusCode = grpc.StatusCode.OK
    answer: Answer | None = None
    """The status that the caller of a failed call gets; None where the runtime answers."""
    ended: bool = False
    """Whether the server itself ended it: a watch that has lived long enough, or that is drained."""
    entered: int = 0
    """How many layers it went through; these are left again."""

    def __init__(self, method: str, started: float, ids: IdSource) -> None:
        self.method = method
        self.started = started
        self._ids = ids
        self._request_id = ""

    @property
    def request_id(self) -> str:
        """The caller's, or a fresh one where it sent none; the same whenever it is asked for."""
        if not self._request_id:
            self._request_id = self._ids.request_id().text
        return self._request_id

    @request_id.setter
    def request_id(self, value: str) -> None:
        self._request_id = value

    def time_remaining(self) -> float | None:
        """Seconds that are left; never negative; None without a deadline."""
        return None if self.deadline is None else max(0.0, self.deadline - perf_counter())


_CURRENT: ContextVar[Call | None] = ContextVar("theory_call", default=None)


def current_call() -> Call | None:
    """The call that this task serves; None outside of one."""
    return _CURRENT.get()


def current_principal() -> Principal:
    """Who calls. `LookupError` outside of a served call: code that runs by itself has no caller."""
    call = _CURRENT.get()
    if call is None or call.principal is None:
        raise LookupError("no call is being served here")
    return call.principal


def current_grant() -> AttemptGrant | None:
    """Which attempt calls, and what it may do; None where no attempt does, or no call is being served."""
    call = _CURRENT.get()
    return None if call is None or call.principal is None else call.principal.grant


def current_request_id() -> str:
    """The id under which logs and errors name this call; empty outside of one."""
    call = _CURRENT.get()
    return "" if call is None else call.request_id


def time_remaining() -> float | None:
    """Seconds until the caller of this call stops waiting; None outside of one, or where the caller set no deadline."""
    call = _CURRENT.get()
    return None if call is None else call.time_remaining()


def enter(call: Call) -> None:
    """Make `call` current for the rest of this task. gRPC gives every call a task of its own."""
    _CURRENT.set(call)


@contextmanager
def serving(principal: Principal, *, request_id: str = "", timeout_s: float | None = None) -> Iterator[Call]:
    """Run a block as if it served a call of `principal`: for servicers that are called without a server."""
    call = Call("", perf_counter(), SystemIds())
    call.request_id, call.principal = request_id, principal
    call.deadline = None if timeout_s is None else call.started + timeout_s
    token = _CURRENT.set(call)
    try:
        yield call
    finally:
        _CURRENT.reset(token)
