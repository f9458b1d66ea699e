"""Errors to statuses and back."""

import copy
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from theory.core import errors
from theory.core.errors import Exhausted, Invalid, NotReady, TheoryError, Unavailable
from theory.wire.status import (
    CODE_BY_ERROR,
    DETAILS_KEY,
    ERROR_BY_CODE,
    code_of,
    from_rpc_error,
    item_error,
    item_ok,
    item_status,
    to_status,
)

_KINDS = pytest.mark.parametrize("kind", errors.ALL)
# The runtime's own, and those that no peer may choose.
_NOT_OURS = {"OK", "CANCELLED", "DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN"}


def _over_the_wire(error: TheoryError) -> Exception:
    status = to_status(error)
    trailers = grpc.aio.Metadata((DETAILS_KEY, status.SerializeToString()))
    return from_rpc_error(_rpc_error(code_of(error), status.message, trailers))


def _rpc_error(code: grpc.StatusCode, details: str = "", trailers: Any = None) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailers or grpc.aio.Metadata(), details=details)


def test_classes_and_codes_are_a_bijection() -> None:
    assert set(CODE_BY_ERROR) == set(errors.ALL)
    assert {code.name for code in ERROR_BY_CODE} == {code.name for code in grpc.StatusCode} - _NOT_OURS


@_KINDS
def test_a_call_that_fails_arrives_as_it_was_raised(kind: type[TheoryError]) -> None:
    sent = kind("PATH_INVALID", "a sentence", path="/ü", rule="nfc")
    arrived = _over_the_wire(sent)
    assert type(arrived) is kind
    assert vars(arrived) == vars(sent)


@_KINDS
def test_an_item_that_fails_arrives_as_it_was_raised(kind: type[TheoryError]) -> None:
    sent = kind("PATH_INVALID", "a sentence", path="/ü", rule="nfc")
    arrived = item_error(type(item_ok()).FromString(item_status(sent).SerializeToString()))
    assert type(arrived) is kind
    assert vars(arrived) == vars(sent)


def test_an_item_that_went_well_has_no_error() -> None:
    assert item_ok().code == 0
    assert item_error(item_ok()) is None


def test_a_code_that_nobody_knows_is_an_item_that_is_never_retried() -> None:
    error = item_error(type(item_ok())(code=99, reason="X_Y", message="m"))
    assert type(error) is TheoryError
    assert not error.retryable


def test_when_to_retry_travels_along() -> None:
    arrived = _over_the_wire(Exhausted("TOO_MANY_CALLS", "full", retry_after_s=1.5))
    assert isinstance(arrived, Exhausted)
    assert arrived.retry_after_s == 1.5


def test_metadata_may_have_the_names_of_arguments() -> None:
    sent = Exhausted("X_Y", "m")
    sent.metadata = {"retry_after_s": "soon", "reason": "r", "message": "m", "self": "s"}
    arrived = _over_the_wire(sent)
    assert isinstance(arrived, Exhausted)
    assert arrived.metadata == sent.metadata
    assert arrived.retry_after_s is None


def test_a_subclass_has_the_code_of_its_class() -> None:
    class Worse(NotReady):
        """A refinement inside one service."""

    assert code_of(Worse("X_Y", "m")) is grpc.StatusCode.FAILED_PRECONDITION
    assert item_status(Worse("X_Y", "m")).code == item_status(NotReady("X_Y", "m")).code


def test_an_error_always_fits_into_a_trailer() -> None:
    huge = Invalid("X_Y", "ü" * 100_000, **{f"key{n}": "ü" * 10_000 for n in range(100)})
    status = to_status(huge)
    assert len(status.SerializeToString()) + 3 * len(status.message.encode()) < 8192
    arrived = _over_the_wire(huge)
    assert isinstance(arrived, Invalid)
    assert arrived.metadata["key0"].endswith("...")


def test_text_that_is_not_unicode_arrives_escaped() -> None:
    arrived = _over_the_wire(Invalid("X_Y", "half \ud800", value="\udfff"))
    assert isinstance(arrived, Invalid)
    assert (arrived.message, arrived.metadata) == ("half \\ud800", {"value": "\\udfff"})


def test_a_deadline_is_pythons_own_timeout() -> None:
    assert isinstance(from_rpc_error(_rpc_error(grpc.StatusCode.DEADLINE_EXCEEDED)), TimeoutError)


@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN])
def test_a_bug_of_the_server_is_never_retried(code: grpc.StatusCode) -> None:
    error = from_rpc_error(_rpc_error(code, "boom"))
    assert type(error) is TheoryError
    assert not error.retryable


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED])
def test_a_server_that_is_away_or_goes_away_says_where_and_what_to_do(code: grpc.StatusCode) -> None:
    error = from_rpc_error(_rpc_error(code, "Connection refused"), url="unix:///run/t.sock")
    assert isinstance(error, Unavailable)
    assert (error.reason, error.metadata) == ("SERVICE_UNREACHABLE", {"url": "unix:///run/t.sock"})
    assert "unix:///run/t.sock" in error.message
    assert "start" in error.message


@pytest.mark.parametrize("code", [code for code in ERROR_BY_CODE if code is not grpc.StatusCode.UNAVAILABLE])
def test_a_status_of_somebody_else_has_the_class_of_its_code(code: grpc.StatusCode) -> None:
    error = from_rpc_error(_rpc_error(code, "a proxy said so"))
    assert isinstance(error, TheoryError)
    assert type(error) is ERROR_BY_CODE[code]
    assert (error.reason, error.message) == ("FOREIGN_STATUS", "a proxy said so")


def test_details_of_another_domain_are_not_ours() -> None:
    status = to_status(NotReady("X_Y", "m"))
    del status.details[:]
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="X_Y", domain="example.com"))
    trailers = grpc.aio.Metadata((DETAILS_KEY, status.SerializeToString()))
    error = from_rpc_error(_rpc_error(grpc.StatusCode.FAILED_PRECONDITION, "m", trailers))
    assert isinstance(error, NotReady)
    assert error.reason == "FOREIGN_STATUS"


def test_details_that_are_damaged_are_passed_over() -> None:
    trailers = grpc.aio.Metadata((DETAILS_KEY, b"\xff\xff\xff"))
    error = from_rpc_error(_rpc_error(grpc.StatusCode.FAILED_PRECONDITION, "m", trailers))
    assert isinstance(error, NotReady)
    assert error.reason == "FOREIGN_STATUS"


def test_errors_survive_a_copy() -> None:
    error = copy.copy(Exhausted("X_Y", "m", retry_after_s=2, key="value"))
    assert vars(error) == vars(Exhausted("X_Y", "m", retry_after_s=2, key="value"))
