"""The same histories on a server that replicas share: of two, each step is taken by the other one."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, cast

import pytest
from hypothesis import settings

from services.drivers.opening import Opening
from services.resources.kv.adapters import open_store as open_kv
from services.resources.kv.ports import KVQuotas, KVStore
from services.resources.queue.adapters import open_store as open_queue
from services.resources.queue.ports import QueueQuotas, QueueStore
from tests.properties.test_kv_model import KVMachine
from tests.properties.test_queue_model import QueueMachine
from tests.servers import Servers
from tests.surroundings import opening
from tests.turned_postgres import TurnedPostgres

pytestmark = pytest.mark.slow


class Replicas:
    """Several stores as one: whoever asks is served by the next."""

    def __init__(self, stores: Sequence[object]) -> None:
        self._next = itertools.cycle(stores)

    def __getattr__(self, name: str) -> Any:
        return getattr(next(self._next), name)


class Surroundings:
    """A new database on the server of this module, its clock, and what each replica is opened with."""

    servers: ClassVar[Servers]

    def __init__(self) -> None:
        self.url = self.servers.postgres()
        self.clock = TurnedPostgres(self.url)
        first = opening(self.clock)
        # Ids that count would be given twice.
        self.openings = [first, Opening(self.clock, first.ids, first.append, first.emit)]

    async def close(self) -> None:
        for each in self.openings:
            await each.close()
        self.clock.close()


class PostgresKV(KVMachine):
    async def opened(self) -> KVStore:
        around = Surroundings()
        self.clock, self.opening = around.clock, cast("Opening", around)
        replicas = [await open_kv(around.url, each, KVQuotas()) for each in around.openings]
        return cast("KVStore", Replicas(replicas))


class PostgresQueue(QueueMachine):
    async def opened(self) -> QueueStore:
        around = Surroundings()
        self.clock, self.opening = around.clock, cast("Opening", around)
        replicas = [await open_queue(around.url, each, QueueQuotas()) for each in around.openings]
        return cast("QueueStore", Replicas(replicas))


@pytest.fixture(scope="module", autouse=True)
def servers() -> Iterator[None]:
    with Servers() as made:
        Surroundings.servers = made
        yield


TestKV = PostgresKV.TestCase
TestKV.settings = settings(max_examples=6, stateful_step_count=25, deadline=None)
TestQueue = PostgresQueue.TestCase
TestQueue.settings = settings(max_examples=8, stateful_step_count=30, deadline=None)
