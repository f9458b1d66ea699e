"""The container engine's client: blocking calls on threads, its errors in two classes."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import docker
import requests
import urllib3
from docker.errors import APIError, DockerException
from docker.utils import kwargs_from_env

from services.executor.adapters.threads import Threads
from theory.core.errors import NotReady

T = TypeVar("T")

_DOWN = "no container engine answers: start Docker, or choose another runtime: process for trusted code, or mock"
_UNIX = "unix://"
_USUAL = f"{_UNIX}/var/run/docker.sock"
_CALL_S = 120
"""How long the engine may be silent within one call."""


class EngineRefused(Exception):
    """The engine answered no. `status` is HTTP's; the words are the engine's own and stay in this package."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(status, words)
        self.status = status
        self.words = words


class Engine:
    """One engine. Nothing is connected before the first call, and a call after a failure connects anew."""

    def __init__(self, url: str, *, calls_at_once: int) -> None:
        self._url = url
        self._calls_at_once = calls_at_once
        self._threads = Threads("engine", calls_at_once, detached=True)
        self._connecting = threading.Lock()
        self._client: docker.APIClient | None = None

    async def call(self, ask: Callable[[docker.APIClient], T]) -> T:
        """What `ask` returns, called on a thread; `EngineRefused`, `NotReady` (`ENGINE_DOWN`).

        A caller that is cancelled does not learn what the engine did: everything there is found by its name.
        """
        return await self._threads.run(self.call_blocking, ask)

    def call_blocking(self, ask: Callable[[docker.APIClient], T]) -> T:
        """The same on the calling thread."""
        try:
            return ask(self._connected())
        except APIError as error:
            raise EngineRefused(error.status_code or 0, error.explanation or "") from error
        # The client lets failures of four floors through.
        except (DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise NotReady("ENGINE_DOWN", _DOWN) from error

    @property
    def known(self) -> bool:
        """Whether it has ever answered here: then it may be away, but it is there."""
        return self._client is not None

    async def close(self) -> None:
        """Give threads and connections back."""
        self._threads.close()
        if self._client is not None:
            with suppress(OSError):
                self._client.close()

    def _connected(self) -> docker.APIClient:
        with self._connecting:
            if self._client is None:
                given: dict[str, Any] = {"base_url": self._url} if self._url else {**kwargs_from_env()}
                _knock(given.get("base_url") or _USUAL)
                # One more for the stream of events.
                pool = self._calls_at_once + 1
                self._client = docker.APIClient(version="auto", timeout=_CALL_S, max_pool_size=pool, **given)
            return self._client


def _knock(url: str) -> None:
    """Raise `OSError` where nobody listens: the client would leave a socket open for each try."""
    if url.startswith(_UNIX):
        with socket.socket(socket.AF_UNIX) as door:
            door.connect(url.removeprefix(_UNIX))
