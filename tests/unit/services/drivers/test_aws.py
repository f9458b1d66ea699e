"""Addresses of AWS, and its failures as ours."""

import socket
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, ParamValidationError, ReadTimeoutError
from botocore.stub import Stubber

from services.drivers import aws
from services.drivers.aws import Address
from tests.servers import AWS_VARIABLES
from theory.core.errors import Exhausted, Invalid, NotReady, TheoryError, Unavailable

_ENDPOINT = "http://127.0.0.1:4566"


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in AWS_VARIABLES.items():
        monkeypatch.setenv(name, value)


def test_an_address_names_a_region_and_perhaps_an_endpoint() -> None:
    assert Address.parse("sqs://eu-central-1") == Address("eu-central-1", None, {})
    assert Address.parse(f"sqs://us-gov-west-1/?name=a&endpoint={_ENDPOINT}", "name") == Address(
        "us-gov-west-1", _ENDPOINT, {"name": "a"}
    )


@pytest.mark.parametrize(
    "url",
    [
        "sqs:",
        "sqs://",
        "sqs://frankfurt",
        "sqs://key:secret@eu-central-1",
        "sqs://eu-central-1/queue",
        "sqs://eu-central-1#part",
        "sqs://eu-central-1?other=x",
        "sqs://eu-central-1?name=a&name=b",
        "sqs://eu-central-1?endpoint=",
        "sqs://eu-central-1?endpoint=127.0.0.1:4566",
        "sqs://eu-central-1?endpoint=ftp://127.0.0.1",
        "sqs://eu-central-1?endpoint=http://key:secret@127.0.0.1",
    ],
)
def test_any_other_address_is_refused(url: str) -> None:
    with pytest.raises(Invalid, match="write sqs://region") as caught:
        Address.parse(url, "name")
    assert caught.value.reason == "URL_INVALID"


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("OverLimit", 403, (Exhausted, "STORE_FULL")),
        ("AWS.SimpleQueueService.OverLimit", 403, (Exhausted, "STORE_FULL")),
        ("RequestThrottled", 400, (Unavailable, "STORE_UNREACHABLE")),
        ("ThrottlingException", 400, (Unavailable, "STORE_UNREACHABLE")),
        ("SomethingNew", 503, (Unavailable, "STORE_UNREACHABLE")),
        ("AccessDeniedException", 400, (NotReady, "STORE_DENIED")),
        ("ExpiredToken", 403, (NotReady, "STORE_DENIED")),
    ],
)
def test_a_refusal_is_what_the_caller_can_do_about_it(
    code: str, status: int, expected: tuple[type[TheoryError], str]
) -> None:
    with pytest.raises(TheoryError) as caught, aws.translated():
        raise _refusal(code, status)
    assert (type(caught.value), caught.value.reason) == expected
    assert code not in caught.value.message


def test_a_refusal_of_the_request_itself_is_left_to_the_adapter() -> None:
    with pytest.raises(ClientError) as caught, aws.translated():
        raise _refusal("AWS.SimpleQueueService.NonExistentQueue", 400)
    assert aws.code_of(caught.value) == "NonExistentQueue"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NoCredentialsError(), NotReady),
        (ReadTimeoutError(endpoint_url=_ENDPOINT), Unavailable),
        (ParamValidationError(report="a bug of ours"), ParamValidationError),
    ],
)
def test_a_failure_before_any_answer_is_told_apart(error: Exception, expected: type[Exception]) -> None:
    with pytest.raises(expected), aws.translated():
        raise error


@pytest.fixture
def refused_port() -> Iterator[int]:
    with socket.socket() as one:  # bound and never listening: nobody else can get it
        one.bind(("127.0.0.1", 0))
        yield one.getsockname()[1]


@pytest.mark.slow
async def test_a_client_whose_product_is_away_says_so(refused_port: int) -> None:
    address = Address.parse(f"sqs://eu-central-1?endpoint=http://127.0.0.1:{refused_port}")
    client = await aws.open_sqs(address, threads=1, prefix="th-")
    with pytest.raises(Unavailable):
        await client.ready()
    await client.close()


async def test_a_call_runs_with_its_arguments_and_gives_the_answer() -> None:
    client = await aws.open_secrets_manager(Address.parse("aws-secrets://eu-central-1"), threads=1, probed="x")
    with Stubber(client.raw) as stub:
        stub.add_response("batch_get_secret_value", {"SecretValues": []}, {"SecretIdList": ["x"]})
        await client.ready()
        stub.add_client_error("batch_get_secret_value", "AccessDeniedException", http_status_code=400)
        with pytest.raises(NotReady):
            await client.ready()
    await client.close()


def _refusal(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Operation")  # type: ignore[typeddict-item] # the rest is not looked at
