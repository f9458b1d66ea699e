"""What happens around every call, one concern a class; `theory.wire.server.STACK` says in which order."""

# ruff: noqa: ARG002 - every layer has the same shape, whatever it needs of it

import asyncio
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter

import grpc

from theory.core.errors import Denied, Exhausted, TheoryError, Unauthenticated
from theory.core.ids import IdSource
from theory.wire.context import Call, Context
from theory.wire.identity import KEYED_TOKEN, AttemptVerifier, Principal, Role, Scope, ServiceKeys
from theory.wire.status import answer_of, code_of
from theory.wire.telemetry import CALLS, log

MIN_REMAINING_S = 0.01
"""A call with less time than this is refused at once: it could only fail later."""

MAX_UNARY_CALLS = 1024
MAX_STREAMS = 512

_LOG = logging.getLogger("theory.wire.rpc")
_REQUEST_ID = re.compile(r"[!-~]{1,36}").fullmatch
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}").fullmatch
_BUGS = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS})
_CODE_BY_NUMBER = {int(code.value[0]): code for code in grpc.StatusCode}


@dataclass
class Places:
    """How many calls may be in flight at once, and how many are."""

    limit: int
    taken: int = 0


@dataclass(frozen=True)
class Surroundings:
    """What the layers of one server share."""

    access: Mapping[str, Scope]
    keys: ServiceKeys | None
    token_required: bool
    ids: IdSource
    attempts: Mapping[str, AttemptVerifier] = field(default_factory=dict)
    """By method: who knows the tokens of attempts there. A method that is left out takes none."""
    unary_places: Places = field(default_factory=lambda: Places(MAX_UNARY_CALLS))
    stream_places: Places = field(default_factory=lambda: Places(MAX_STREAMS))


@dataclass(frozen=True)
class Bound:
    """The method that a layer is made for."""

    name: str
    streams: bool


class Layer:
    """One concern of one method; it does nothing until one of its two functions is overridden.

    Both are synchronous: a layer that waits would hold up every call.
    """

    def __init__(self, method: Bound, around: Surroundings) -> None:
        """Take what is needed of the method and of the server; made once per method."""

    def enter(self, call: Call, context: Context) -> None:
        """Before the handler. What it raises ends the call; the layers inside of it are not entered."""

    def leave(self, call: Call, context: Context) -> None:
        """After the handler, whatever became of it, unless this layer was not entered. Never raises."""


class Naming(Layer):
    """Reads what the metadata says of the call: its request id, trace and token; once, for all layers."""

    def enter(self, call: Call, context: Context) -> None:
        """Take what has the right form; what has not is as good as absent."""
        for key, value in context.invocation_metadata() or ():
            if key == "x-request-id" and isinstance(value, str) and _REQUEST_ID(value):
                call.request_id = value
            elif key == "authorization" and isinstance(value, str):
                call.authorization = value
            elif key == "traceparent" and isinstance(value, str) and _TRACEPARENT(value):
                call.traceparent = value


class Logging(Layer):
    """Writes one line per call: DEBUG if it went well, ERROR if it is a bug, INFO otherwise."""

    def __init__(self, method: Bound, around: Surroundings) -> None:
        self._method = method.name

    def leave(self, call: Call, context: Context) -> None:
        """Say how the call ended. A stack is written for what is not ours, and leaves this process nowhere else."""
        if call.code is grpc.StatusCode.OK:
            level = logging.DEBUG
        else:
            level = logging.ERROR if call.code in _BUGS else logging.INFO
        if not _LOG.isEnabledFor(level):
            return
        facts: dict[str, object] = {
            "method": self._method,
            "code": call.code.name,
            "role": call.principal.role.value if call.principal else "",
            "request_id": call.request_id,
            "duration_ms": round((perf_counter() - call.started) * 1000, 3),
        }
        if call.principal and call.principal.grant:
            facts["execution_id"] = call.principal.grant.execution_id.text
        if trace := _TRACEPARENT(call.traceparent):
            facts["trace_id"] = trace[1]
        if isinstance(call.failure, TheoryError):
            facts |= {"reason": call.failure.reason, "message": call.failure.message}
            log(_LOG, level, "rpc", **facts)
        elif level == logging.ERROR:
            _LOG.error("rpc", exc_info=call.failure, extra={"theory_fields": facts})
        else:
            log(_LOG, level, "rpc", **facts)


class Counting(Layer):
    """Counts the call and measures how long it took."""

    def __init__(self, method: Bound, around: Surroundings) -> None:
        self._metrics = CALLS.of(method.name)

    def enter(self, call: Call, context: Context) -> None:
        """Count the beginning."""
        self._metrics.started += 1

    def leave(self, call: Call, context: Context) -> None:
        """Measure the end."""
        self._metrics.ended(call.code, perf_counter() - call.started)


class MappingErrors(Layer):
    """Turns what the handler raised into the status that the caller gets; nothing of a foreign exception's text."""

    def leave(self, call: Call, context: Context) -> None:
        """Decide the code; `call.answer` is set unless the handler or the runtime has answered already."""
        if call.failure is None:
            return
        call.failure = error = _single(call.failure)
        if isinstance(error, asyncio.CancelledError | GeneratorExit):
            call.code = grpc.StatusCode.CANCELLED
        elif isinstance(error, grpc.aio.AbortError):
            call.code = _CODE_BY_NUMBER.get(_number(context.code()), grpc.StatusCode.UNKNOWN)
        elif isinstance(error, TimeoutError):
            call.code = grpc.StatusCode.DEADLINE_EXCEEDED
            call.answer = (call.code, "the call did not end before its deadline", ())
        else:
            shown = error if isinstance(error, TheoryError) else TheoryError("INTERNAL", "")
            if code_of(shown) is grpc.StatusCode.INTERNAL:
                sentence = f"internal error; the service's log has it as {call.request_id}"
                shown = TheoryError("INTERNAL", sentence, request_id=call.request_id)
            call.answer = answer_of(shown)
            call.code = call.answer[0]


class KeepingDeadlines(Layer):
    """Hands the caller's deadline to what the handler calls, and refuses what could not end in time."""

    def enter(self, call: Call, context: Context) -> None:
        """Note the deadline; `TimeoutError` where too little is left."""
        remaining = context.time_remaining()
        if remaining is None:
            return
        if remaining < MIN_REMAINING_S:
            raise TimeoutError
        call.deadline = call.started + remaining


class Authenticating(Layer):
    """Finds out who calls: the holder of a token, or whoever may open the private socket."""

    def __init__(self, method: Bound, around: Surroundings) -> None:
        self._keys = around.keys
        self._attempts = around.attempts.get(method.name)
        self._anonymous = None if around.token_required else Principal(Role.CLIENT)

    def enter(self, call: Call, context: Context) -> None:
        """Set the principal; `Unauthenticated` where it cannot be known."""
        if call.authorization:
            call.principal = self._verified(call.authorization.removeprefix("Bearer "))
        elif self._anonymous is None:
            raise Unauthenticated("TOKEN_MISSING", "this address needs a token: loopback is no identity")
        else:
            call.principal = self._anonymous

    def _verified(self, token: str) -> Principal:
        if self._attempts is not None and not token.startswith(KEYED_TOKEN):
            return self._attempts.verify(token)
        if self._keys is None:
            raise Unauthenticated("TOKEN_INVALID", "this server knows no tokens")
        return self._keys.verify(token)


class Authorizing(Layer):
    """Lets the roles of the access table pass, and nobody else."""

    def __init__(self, method: Bound, around: Surroundings) -> None:
        self._method = method.name
        self._scope = around.access[method.name]

    def enter(self, call: Call, context: Context) -> None:
        """`Denied` (`ROLE_DENIED`) unless the method's scope has the caller's role."""
        if call.principal is None or call.principal.role not in self._scope:
            role = call.principal.role.value if call.principal else ""
            raise Denied("ROLE_DENIED", f"a {role} may not call this method", method=self._method, role=role)


class Limiting(Layer):
    """Bounds the calls in flight, so that a flood is shed while what was admitted goes on."""

    def __init__(self, method: Bound, around: Surroundings) -> None:
        self._places = around.stream_places if method.streams else around.unary_places

    def enter(self, call: Call, context: Context) -> None:
        """`Exhausted` (`TOO_MANY_CALLS`) where every place is taken."""
        if self._places.taken >= self._places.limit:
            raise Exhausted("TOO_MANY_CALLS", "the server is full: try again in a moment", retry_after_s=1.0)
        self._places.taken += 1

    def leave(self, call: Call, context: Context) -> None:
        """Give the place back."""
        self._places.taken -= 1


def _single(error: BaseException) -> BaseException:
    """The one exception that a task group raised, where there is only one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _number(code: object) -> int:
    return code if isinstance(code, int) else int(getattr(code, "value", (2,))[0])
