"""What is AWS's own: addresses, clients on threads of their own, and its errors in our words."""

import asyncio
import functools
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar, cast
from urllib.parse import parse_qsl, urlsplit

import boto3.session
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as NotConnected

from theory.core.errors import Exhausted, Invalid, NotReady, TheoryError, Unavailable

if TYPE_CHECKING:  # types of boto3 are a package of development
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

C = TypeVar("C")
P = ParamSpec("P")
T = TypeVar("T")

# At DEBUG they log what they send and get: bodies of messages, values of secrets.
for _chatty in ("boto3", "botocore", "urllib3"):
    logging.getLogger(_chatty).setLevel(logging.WARNING)

_CONNECT_S = 5
_READ_S = 10
"""A call that asks AWS to wait asks for less."""
_TRIES = 3

_is_region = re.compile(r"[a-z]{2,}(-[a-z]+)+-[0-9]+").fullmatch

_FULL = frozenset({"OverLimit", "LimitExceededException"})
_LATER = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServiceError",
        "KmsThrottled",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
    }
)
_DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthFailure",
        "DecryptionFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "InvalidSignatureException",
        "KmsAccessDenied",
        "KmsDisabled",
        "KmsInvalidKeyUsage",
        "KmsInvalidState",
        "KmsNotFound",
        "KmsOptInRequired",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "OptInRequired",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
    }
)
_NO_CREDENTIALS = (
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
_NO_ANSWER = (HTTPClientError, IncompleteReadError, NotConnected)
_SERVER_FAULT = 500


@dataclass(frozen=True)
class Address:
    """A region, an endpoint where it is not AWS's own, and what else the address says."""

    region: str
    endpoint: str | None
    options: Mapping[str, str]

    @classmethod
    def parse(cls, url: str, *options: str) -> Self:
        """`scheme://region?endpoint=URL&option=value`; `Invalid` (`URL_INVALID`) for anything else.

        Credentials never stand in it: they come from where AWS's own tools take them.
        """
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=False)
        given = dict(pairs)
        endpoint = given.pop("endpoint", None)
        sound = (
            _is_region(parts.netloc)
            and parts.path in ("", "/")
            and not parts.fragment
            and len(pairs) == len({name for name, _ in pairs})
            and given.keys() <= set(options)
            and (endpoint is None or _is_endpoint(endpoint))
        )
        if not sound:
            form = "&".join(f"{each}=..." for each in ("endpoint", *options))
            raise Invalid("URL_INVALID", f"write {parts.scheme}://region?{form}, each option at most once", url=url)
        return cls(parts.netloc, endpoint, given)


def _is_endpoint(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc and not parts.query


class Client(Generic[C]):
    """A client of one product in one region. Its calls run on threads of its own and raise our errors."""

    def __init__(self, raw: C, *, threads: int, probe: Callable[[], object]) -> None:
        self.raw = raw
        """Its operations are what `call` takes."""
        self._probe = probe
        self._threads = ThreadPoolExecutor(threads, "aws")
        self._closed = False

    def start(self) -> None:
        """Nothing runs by itself."""

    async def ready(self) -> None:
        """Return where the product answers us."""
        await self.call(self._probe)

    async def close(self) -> None:
        """Let go; calls under way end unheard."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        cast("Any", self.raw).close()

    async def call(self, operation: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run an operation. A refusal that is no failure of the store is raised as a `ClientError`; see `code_of`."""
        if self._closed:
            raise _away()
        loop = asyncio.get_running_loop()
        with translated():
            return await loop.run_in_executor(self._threads, functools.partial(operation, *args, **kwargs))


async def open_sqs(address: Address, *, threads: int, prefix: str) -> "Client[SQSClient]":
    """SQS; ready where it lists queues whose names begin with the prefix."""
    raw = await asyncio.to_thread(_sqs, address, threads)
    return Client(raw, threads=threads, probe=lambda: raw.list_queues(QueueNamePrefix=prefix, MaxResults=1))


async def open_secrets_manager(address: Address, *, threads: int, probed: str) -> "Client[SecretsManagerClient]":
    """Secrets Manager; ready where it answers about the secret `probed`, which need not exist."""
    raw = await asyncio.to_thread(_secrets_manager, address, threads)
    return Client(raw, threads=threads, probe=lambda: raw.batch_get_secret_value(SecretIdList=[probed]))


def _sqs(address: Address, threads: int) -> "SQSClient":
    session = boto3.session.Session(region_name=address.region)
    return session.client("sqs", endpoint_url=address.endpoint, config=_config(threads))


def _secrets_manager(address: Address, threads: int) -> "SecretsManagerClient":
    session = boto3.session.Session(region_name=address.region)
    return session.client("secretsmanager", endpoint_url=address.endpoint, config=_config(threads))


def _config(threads: int) -> Config:
    return Config(
        connect_timeout=_CONNECT_S,
        read_timeout=_READ_S,
        retries={"mode": "standard", "total_max_attempts": _TRIES},
        max_pool_connections=threads,
        user_agent_extra="theory",
    )


@contextmanager
def translated() -> Iterator[None]:
    """Raise our errors where AWS does not answer, does not let us in, or has no room."""
    try:
        yield
    except ClientError as error:
        found = fault(code_of(error), error.response["ResponseMetadata"].get("HTTPStatusCode", 0))
        if found is None:
            raise
        raise found from error
    except _NO_CREDENTIALS as error:
        raise _denied() from error
    except _NO_ANSWER as error:
        raise _away() from error


def code_of(error: ClientError) -> str:
    """What AWS calls it, without the namespace that one of its two protocols puts before it."""
    return error.response["Error"]["Code"].rpartition(".")[2]


def fault(code: str, status: int = 0) -> TheoryError | None:
    """Our error for a code of AWS; None for one that says something about the request alone."""
    if code in _FULL:
        return Exhausted("STORE_FULL", "the store has no room left")
    if code in _DENIED:
        return _denied()
    if code in _LATER or status >= _SERVER_FAULT:
        return _away()
    return None


def _denied() -> NotReady:
    return NotReady("STORE_DENIED", "the store refuses the credentials of this service, or what it wants to do")


def _away() -> Unavailable:
    return Unavailable("STORE_UNREACHABLE", "the store does not answer, or asks for patience")
