"""Where messages may be kept, and the one table that chooses."""

from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from sqlalchemy import MetaData

from services.drivers.choice import module_for
from services.drivers.sql import Database
from services.resources.queue.ports import QueueStore
from theory.core.clock import Clock
from theory.core.ids import IdSource

MODULE_BY_SCHEME: Mapping[str, str] = {
    "memory": "services.resources.queue.adapters.memory",
    "sqlite": "services.resources.queue.adapters.sql",
}


async def open_store(
    url: str, *, clock: Clock, ids: IdSource, database: Callable[[str, MetaData], Awaitable[Database]]
) -> QueueStore:
    """The store that `url` names, ready to use; `Invalid` (`ADAPTER_UNKNOWN`) where the table has no such scheme.

    `clock` and `ids` are for a store that has none of its own; `database` gives the one at an address, with these
    tables in it.
    """
    return cast(
        "QueueStore", await module_for(url, MODULE_BY_SCHEME).open(url, clock=clock, ids=ids, database=database)
    )
