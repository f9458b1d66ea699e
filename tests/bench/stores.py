"""The stores that scratch is measured on: how a server is told of each, and the process that stands beside it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil

from tests.servers import Redis


@dataclass(frozen=True)
class Store:
    """One of them."""

    name: str
    variables: Mapping[str, str] = field(default_factory=dict)
    """Of the environment of a server that uses it."""
    process: psutil.Process | None = None
    """Its own process, where it has one."""
    path: str = ""
    """Its socket."""

    def cpu_s(self) -> float:
        """What its own process has used so far."""
        if self.process is None:
            return 0.0
        used = self.process.cpu_times()
        return used.user + used.system


@contextmanager
def memory() -> Iterator[Store]:
    """The memory of the server."""
    yield Store("memory", _both("memory:"))


@contextmanager
def sqlite() -> Iterator[Store]:
    """The file that is used where nobody says anything."""
    yield Store("SQLite")


@contextmanager
def redis() -> Iterator[Store]:
    """A server on a unix socket, which keeps nothing on disk: as fast as it can be, for both sides."""
    with Redis() as server:
        assert server._child is not None
        path = server.url.removeprefix("redis+unix://")
        yield Store("Redis", _both(server.url), psutil.Process(server._child.pid), path)


STORES = (memory, sqlite, redis)


def _both(url: str) -> dict[str, str]:
    return {"THEORY_RESOURCES_KV_URL": url, "THEORY_RESOURCES_QUEUE_URL": url}
