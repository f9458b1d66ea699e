"""Answers of a bucket in our words."""

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from services.artifacts.adapters.blobs.s3.faults import refused, translated
from theory.core.errors import Exhausted, NotReady, TheoryError, Unavailable, Unsupported


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("QuotaExceeded", 403, (Exhausted, "DISK_FULL")),
        ("XMinioStorageFull", 507, (Exhausted, "DISK_FULL")),
        ("507", 507, (Exhausted, "DISK_FULL")),
        ("NoSuchBucket", 404, (NotReady, "STORE_MISSING")),
        ("AccessDenied", 403, (NotReady, "STORE_DENIED")),
        ("SignatureDoesNotMatch", 403, (NotReady, "STORE_DENIED")),
        ("403", 403, (NotReady, "STORE_DENIED")),
        ("NotImplemented", 501, (Unsupported, "STORE_UNFIT")),
        ("ConditionalRequestConflict", 409, (Unavailable, "STORE_UNREACHABLE")),
        ("OperationAborted", 409, (Unavailable, "STORE_UNREACHABLE")),
        ("BadDigest", 400, (Unavailable, "STORE_UNREACHABLE")),
        ("SlowDown", 503, (Unavailable, "STORE_UNREACHABLE")),
        ("429", 429, (Unavailable, "STORE_UNREACHABLE")),
        ("InternalError", 500, (Unavailable, "STORE_UNREACHABLE")),
    ],
)
def test_an_answer_about_the_store_is_what_the_caller_can_do_about_it(
    code: str, status: int, expected: tuple[type[TheoryError], str]
) -> None:
    with pytest.raises(TheoryError) as caught, translated():
        raise _refusal(code, status)
    assert (type(caught.value), caught.value.reason) == expected
    assert code not in caught.value.message


@pytest.mark.parametrize(("code", "status"), [("NoSuchKey", 404), ("PreconditionFailed", 412), ("InvalidRange", 416)])
def test_an_answer_about_one_name_is_left_as_it_is(code: str, status: int) -> None:
    with pytest.raises(ClientError) as caught, translated():
        raise _refusal(code, status)
    assert refused(caught.value, status)
    assert not refused(caught.value, status + 1)


def test_a_bucket_that_is_missing_is_no_missing_name() -> None:
    assert not refused(_refusal("NoSuchBucket", 404), 404)


def test_missing_credentials_are_told_as_such() -> None:
    with pytest.raises(NotReady) as caught, translated():
        raise NoCredentialsError
    assert caught.value.reason == "STORE_DENIED"


def _refusal(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Operation")  # type: ignore[typeddict-item] # the rest is not looked at
