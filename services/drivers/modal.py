"""Modal's client: opened for one workspace, each call bounded in time, its failures in our words.

The library is imported when the first connection is opened, with its file of settings shut off: what it is told comes
from the address, from the secret beside it, or from the variables `MODAL_TOKEN_ID` and `MODAL_TOKEN_SECRET`. All
connections of a process share its thread, and caches of it: one workspace a process.
"""

import asyncio
import importlib
import logging
import os
import queue
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2s
from types import ModuleType
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar, cast
from urllib.parse import parse_qsl, urlsplit

from services.drivers import modal_guard
from theory.core.errors import Corrupt, Exhausted, Invalid, NotReady, TheoryError, Unavailable, Unsupported
from theory.core.secret import Secret

if TYPE_CHECKING:
    import modal

P = ParamSpec("P")
T = TypeVar("T")

CALL_S = 10.0
"""How long a call may take, with what the client repeats by itself."""

_AT_ONCE = 64
_REPEATS = 2
_ABANDON_S = 5.0
_CONFIG_PATH = "MODAL_CONFIG_PATH"
_NO_FILE = "/nonexistent/modal.toml"
_HASH_BYTES = 16

_is_environment = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]{0,63})?").fullmatch
_is_loopback = re.compile(r"http://(127\.0\.0\.1|localhost):[0-9]{1,5}").fullmatch
_is_token = re.compile(r"(?P<id>[!-9;-~]+):(?P<secret>[!-9;-~]+)").fullmatch

# At DEBUG it logs every header, the token among them.
logging.getLogger("hpack").setLevel(logging.WARNING)


class Absent(Exception):
    """The object that a call names is not there, or not any more."""


class Refused(TheoryError):
    """Modal calls a request wrong: a bug of this service, unless the caller knows better."""


def name_of(kind: str, *owner: str) -> str:
    """The name of an object: Modal takes 64 characters of a small alphabet, ours are longer and freer."""
    return f"theory-{kind}-{hash_of(*owner)}"


def hash_of(*words: str) -> str:
    """32 hex digits for words without a NUL: no two lists of words read alike."""
    return blake2s("\0".join(words).encode(), digest_size=_HASH_BYTES).hexdigest()


@dataclass(frozen=True)
class Address:
    """An environment, a server where it is not Modal's own, and what else the address says."""

    environment: str | None
    server: str | None
    options: Mapping[str, str]

    @classmethod
    def parse(cls, url: str, *options: str) -> Self:
        """`modal:` or `modal://environment?server=URL&option=value`; `Invalid` (`URL_INVALID`) for anything else.

        Without an environment it is the workspace's own. A server is one of loopback, for tests. Credentials never
        stand in it.
        """
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        given = dict(pairs)
        server = given.pop("server", None)
        sound = (
            parts.scheme == "modal"
            and _is_environment(parts.netloc)
            and parts.path in ("", "/")
            and not parts.fragment
            and len(pairs) == len(given) + (server is not None)
            and given.keys() <= set(options)
            and (server is None or _is_loopback(server))
        )
        if not sound:
            form = "&".join(f"{each}=..." for each in ("server", *options))
            raise Invalid("URL_INVALID", f"write modal://environment?{form}, each option at most once", url=url)
        return cls(parts.netloc or None, server, given)


class Connection:
    """An open client. At most so many calls are under way at once; the others wait for their turn."""

    def __init__(self, sdk: ModuleType, client: "modal.Client", environment: str | None) -> None:
        self.sdk = sdk
        """The library itself: whoever has a connection uses this one."""
        self.client = client
        self.environment = environment
        self._turns = asyncio.Semaphore(_AT_ONCE)

    def start(self) -> None:
        """Nothing runs by itself."""

    async def ready(self) -> None:
        """Return where Modal answers and knows us."""
        await self.call(cast("Callable[[], Awaitable[None]]", self.client.hello.aio))

    async def close(self) -> None:
        """Let go. Calls under way end unheard."""
        with _translated():
            async with asyncio.timeout(_ABANDON_S):
                await self.client.close.aio()

    async def call(self, operation: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """What Modal answers. `Absent` where it does not have what is named; our errors for all other failures.

        A write that ends in `Unavailable` may have been done.
        """
        return await self.within(CALL_S, operation, *args, **kwargs)

    async def again(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask` answers, asked a few times if need be, and if there is time: for what may be repeated."""
        now = asyncio.get_running_loop().time
        ends = now() + CALL_S
        for _ in range(_REPEATS):
            try:
                return await ask()
            except Unavailable:
                if now() >= ends:
                    raise
        return await ask()

    async def within(
        self, limit_s: float, operation: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As `call`, for what takes longer."""
        async with self._turns:
            with _translated():
                async with asyncio.timeout(limit_s):
                    return await operation(*args, **kwargs)


async def connect(address: Address, secret: Secret | None) -> Connection:
    """A connection; the first one makes sure that no value is run as a program. Nothing is sent yet."""
    sdk = _load()
    with _translated():
        server, token = address.server or sdk.config.config["server_url"], _token(sdk, secret)
        client = sdk.Client(server, sdk.client.api_pb2.CLIENT_TYPE_CLIENT, token)
        async with asyncio.timeout(CALL_S):
            await client.__aenter__()
    return Connection(sdk, client, address.environment)


def _load() -> ModuleType:
    """The library, imported on first use."""
    with _no_settings_file():
        sdk = importlib.import_module("modal")
    serialization = importlib.import_module("modal._serialization")
    modal_guard.install(serialization)
    modal_guard.verify(serialization)
    return sdk


@contextmanager
def _no_settings_file() -> Iterator[None]:
    """While it is imported the library reads `~/.modal.toml`, unless a variable names another file."""
    variables = os.environ  # noqa: TID251 - the library can be told in no other way
    before = variables.get(_CONFIG_PATH)
    variables[_CONFIG_PATH] = _NO_FILE
    try:
        yield
    finally:
        if before is None:
            del variables[_CONFIG_PATH]
        else:
            variables[_CONFIG_PATH] = before


def _token(sdk: ModuleType, secret: Secret | None) -> tuple[str, str]:
    if secret is not None:
        token = _is_token(secret.reveal())
        if token is None:
            raise NotReady("STORE_DENIED", "the secret of this address is not written TOKEN_ID:TOKEN_SECRET")
        return token["id"], token["secret"]
    token_id, token_secret = sdk.config.config["token_id"], sdk.config.config["token_secret"]
    if not token_id or not token_secret:
        raise _denied()
    return token_id, token_secret


@contextmanager
def _translated() -> Iterator[None]:
    """Raise our errors, without the words of the provider, and `Absent`."""
    try:
        yield
    except (TheoryError, Absent):
        raise
    except queue.Full as error:
        raise _full() from error
    except OSError as error:  # a TimeoutError is one, too
        raise _away() from error
    except Exception as error:
        found = _ours(error)
        if found is None:
            raise
        raise found from error


def _ours(error: Exception) -> Exception | None:
    """By the names of classes, the nearest first: the library is not imported here."""
    for each in type(error).__mro__:
        if make := _BY_CLASS.get(f"{each.__module__}.{each.__qualname__}"):
            return make()
    return None


def _denied() -> NotReady:
    return NotReady("STORE_DENIED", "the store refuses the credentials of this service, or what it wants to do")


def _full() -> Exhausted:
    return Exhausted("STORE_FULL", "the store has no room left")


def _away() -> Unavailable:
    return Unavailable("STORE_UNREACHABLE", "the store does not answer, or asks for patience")


def foreign() -> Corrupt:
    """The error for what nobody of us wrote."""
    return Corrupt("STORE_CORRUPT", "the store holds what this service never wrote")


def _unsupported() -> Unsupported:
    return Unsupported("CAPABILITY_MISSING", "the store lacks an operation that this service needs", capability="STORE")


def _refused() -> Refused:
    return Refused("INTERNAL", "the store calls a request of this service wrong")


_BY_CLASS: Mapping[str, Callable[[], Exception]] = {
    "modal.exception.AuthError": _denied,
    "modal.exception.PermissionDeniedError": _denied,
    "modal.exception.NotFoundError": Absent,
    "modal.exception.ConflictError": _away,
    "modal.exception.InvalidError": _refused,
    "modal.exception.RequestSizeError": _refused,
    "modal.exception.ResourceExhaustedError": _full,
    "modal.exception.UnimplementedError": _unsupported,
    "modal.exception.DeserializationError": foreign,
    "modal.exception.DataLossError": foreign,
    "modal.exception.Error": _away,
    "grpclib.exceptions.GRPCError": _away,
    "grpclib.exceptions.StreamTerminatedError": _away,
}
