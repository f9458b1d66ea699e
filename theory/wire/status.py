"""Errors to gRPC statuses and back, for calls and for items of a batch. The only table of its kind."""

from collections.abc import Iterable, Mapping

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from theory.api.core.v1.item_status_pb2 import ItemStatus
from theory.core import errors
from theory.core.errors import Exhausted, TheoryError, Unavailable
from theory.wire.context import Answer

DOMAIN = "theory.dev"
"""`ErrorInfo.domain` of everything that is ours."""

DETAILS_KEY = "grpc-status-details-bin"
"""The trailer in which a status travels with its details."""

CODE_BY_ERROR: Mapping[type[TheoryError], grpc.StatusCode] = {
    errors.Invalid: grpc.StatusCode.INVALID_ARGUMENT,
    errors.OutOfRange: grpc.StatusCode.OUT_OF_RANGE,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.Conflict: grpc.StatusCode.ABORTED,
    errors.NotReady: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Denied: grpc.StatusCode.PERMISSION_DENIED,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.Exhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.Unsupported: grpc.StatusCode.UNIMPLEMENTED,
    errors.Corrupt: grpc.StatusCode.DATA_LOSS,
}
ERROR_BY_CODE: Mapping[grpc.StatusCode, type[TheoryError]] = {code: error for error, code in CODE_BY_ERROR.items()}

# A status rides in one trailer, and peers cap all of their metadata at 8 KiB.
_MESSAGE_CHARACTERS = 500
_VALUE_CHARACTERS = 500
_METADATA_BYTES = 2048

_AWAY = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})
_NUMBER_BY_ERROR = {error: int(code.value[0]) for error, code in CODE_BY_ERROR.items()}
_ERROR_BY_NUMBER = {number: error for error, number in _NUMBER_BY_ERROR.items()}
_NANOS = 1_000_000_000


def code_of(error: TheoryError) -> grpc.StatusCode:
    """The code of `error`'s class; INTERNAL for one that is of no class."""
    for kind in type(error).__mro__:
        if kind in CODE_BY_ERROR:
            return CODE_BY_ERROR[kind]
    return grpc.StatusCode.INTERNAL


def to_status(error: TheoryError) -> status_pb2.Status:
    """The status that carries `error` over the wire: reason, message, metadata and, if known, when to retry.

    Text beyond what a trailer can hold is cut, and metadata beyond 2 KiB is left out: an error always arrives.
    """
    status = status_pb2.Status(code=int(code_of(error).value[0]), message=_cut(error.message, _MESSAGE_CHARACTERS))
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=_fitting(error.metadata))
    status.details.append(_packed(info))
    if isinstance(error, Exhausted) and error.retry_after_s is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(error.retry_after_s * _NANOS))
        status.details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    return status


def answer_of(error: TheoryError) -> Answer:
    """How a call ends that fails with `error`: code, sentence, and the trailer that carries the rest."""
    status = to_status(error)
    return code_of(error), status.message, ((DETAILS_KEY, status.SerializeToString()),)


def from_rpc_error(error: grpc.aio.AioRpcError, *, url: str = "") -> Exception:
    """What to raise for `error`: the `TheoryError` that the server raised, or what its status means here.

    DEADLINE_EXCEEDED is Python's own `TimeoutError`. INTERNAL, UNKNOWN and codes that nobody knows are bugs of the
    server: a bare `TheoryError`, which is never retried. CANCELLED is a server that went away while it answered, so
    `Unavailable`: a call that is cancelled on this side raises `CancelledError` by itself and never gets here, and a
    `CancelledError` that nobody asked for would end a task without a trace.
    """
    code = error.code()
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return TimeoutError("the call did not end before its deadline")
    kind = ERROR_BY_CODE.get(code, TheoryError)
    status = _status_in(error.trailing_metadata() or ())
    if status is not None and (ours := _ours(kind, status)) is not None:
        return ours
    if code in _AWAY:
        where = url or "the address"
        sentence = f"nothing answers at {where}: start the service, or correct the URL"
        return Unavailable("SERVICE_UNREACHABLE", sentence, url=url)
    words = _cut(error.details() or "the server broke", _MESSAGE_CHARACTERS)
    return kind("FOREIGN_STATUS", words, code=code.name)


def item_ok() -> ItemStatus:
    """The status of an item that went well."""
    return ItemStatus()


def item_status(error: TheoryError) -> ItemStatus:
    """The status of an item that failed with `error`. When to retry is not a part of it."""
    number = _NUMBER_BY_ERROR.get(type(error)) or int(code_of(error).value[0])
    message = _cut(error.message, _MESSAGE_CHARACTERS)
    return ItemStatus(code=number, reason=error.reason, message=message, metadata=_fitting(error.metadata))


def item_error(status: ItemStatus) -> TheoryError | None:
    """The error of an item that failed; None for one that went well."""
    if status.code == 0:
        return None
    kind = _ERROR_BY_NUMBER.get(status.code, TheoryError)
    return _built(kind, status.reason, status.message, status.metadata)


def _ours(kind: type[TheoryError], status: status_pb2.Status) -> TheoryError | None:
    built: TheoryError | None = None
    retry_after_s: float | None = None
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status.details:
        if detail.Unpack(info) and info.domain == DOMAIN:
            built = _built(kind, info.reason, status.message, info.metadata)
        elif detail.Unpack(retry):
            retry_after_s = retry.retry_delay.ToNanoseconds() / _NANOS
    if isinstance(built, Exhausted):
        built.retry_after_s = retry_after_s
    return built


def _built(kind: type[TheoryError], reason: str, message: str, metadata: Mapping[str, str]) -> TheoryError:
    error = kind(reason, message)
    error.metadata = dict(metadata)  # a peer's keys may be the names of arguments
    return error


def _status_in(trailer: Iterable[tuple[str, str | bytes]]) -> status_pb2.Status | None:
    for key, value in trailer:
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                status: status_pb2.Status = status_pb2.Status.FromString(value)
            except DecodeError:
                return None
            return status
    return None


def _packed(message: error_details_pb2.ErrorInfo | error_details_pb2.RetryInfo) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def _fitting(metadata: Mapping[str, str]) -> dict[str, str]:
    """As many entries as fit, the first ones first, each readable."""
    if not metadata:
        return {}
    kept: dict[str, str] = {}
    room = _METADATA_BYTES
    for key, value in metadata.items():
        text = _cut(value, _VALUE_CHARACTERS)
        room -= len(key.encode()) + len(text.encode())
        if room < 0:
            break
        kept[key] = text
    return kept


def _cut(text: str, characters: int) -> str:
    """`text`, no longer than that, and always encodable as UTF-8."""
    if len(text) > characters:
        text = f"{text[:characters]}..."
    return text.encode("utf-8", "backslashreplace").decode()
