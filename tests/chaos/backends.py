"""The stores under chaos: which servers each needs, which of them are killed, and how the service is told of it."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from tests.fakes.modal import Chaos, FakeModal
from tests.servers import AWS_REGION, AWS_VARIABLES, AWSEmulator, Postgres, Redis, Server

_KV, _QUEUE = "THEORY_RESOURCES_KV_URL", "THEORY_RESOURCES_QUEUE_URL"


@dataclass(frozen=True)
class Pace:
    """How much at once a store is asked for, and how long it is left alone."""

    producers: int = 3
    consumers: int = 10
    key_workers: int = 6
    batch: int = 100
    """The most messages of one publish."""
    calmer: float = 1.0
    """How much longer than others it is left alone."""


@dataclass(frozen=True)
class Backend:
    """A store, ready."""

    variables: Mapping[str, str] = field(default_factory=dict)
    """What the service needs in its environment."""
    victim: Server | None = None
    """A server that keeps what it answered when it is killed, and so is killed, too."""
    pace: Pace = Pace()
    heal: Callable[[], None] = lambda: None
    """End the faults that the store itself has."""


@contextmanager
def _sqlite() -> Iterator[Backend]:
    yield Backend()


@contextmanager
def _postgresql() -> Iterator[Backend]:
    with Postgres() as server:
        yield Backend({_KV: server.url, _QUEUE: server.url}, server)


@contextmanager
def _redis() -> Iterator[Backend]:
    with Redis(appendonly=True) as server:
        yield Backend({_KV: server.url, _QUEUE: server.url}, server)


@contextmanager
def _redis_streams() -> Iterator[Backend]:
    with Redis(appendonly=True) as server:
        yield Backend({_KV: server.url, _QUEUE: server.url.replace("redis+", "redis-streams+")}, server)


@contextmanager
def _sqs() -> Iterator[Backend]:
    with AWSEmulator() as server:  # its state is in memory: whoever kills it, kills that
        url = f"sqs://{AWS_REGION}?endpoint={server.url}&poll_s=0"
        yield Backend({**AWS_VARIABLES, _QUEUE: url}, pace=Pace(consumers=6, batch=40, calmer=2.5))


@contextmanager
def _modal() -> Iterator[Backend]:
    with FakeModal() as fake:
        logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of each answer to a client that is dead
        faults = fake.hub.faults
        fake.call(lambda: setattr(faults, "chaos", Chaos(0.01)))
        url = f"modal://main?server={fake.url}"
        pace = Pace(producers=2, consumers=6, key_workers=4, batch=8, calmer=2.5)
        yield Backend({**fake.variables, _KV: url, _QUEUE: url}, pace=pace, heal=lambda: fake.call(faults.clear))


BACKENDS: Mapping[str, Callable[[], AbstractContextManager[Backend]]] = {
    "sqlite": _sqlite,
    "redis": _redis,
    "postgresql": _postgresql,
    "redis-streams": _redis_streams,
    "sqs": _sqs,
    "modal": _modal,
}
