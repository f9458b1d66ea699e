"""Where keys may be kept, and the one table that chooses."""

from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from sqlalchemy import MetaData

from services.drivers.choice import module_for
from services.drivers.sql import Database
from services.resources.kv.ports import KVStore
from theory.core.clock import Clock

MODULE_BY_SCHEME: Mapping[str, str] = {
    "memory": "services.resources.kv.adapters.memory",
    "sqlite": "services.resources.kv.adapters.sql",
}


async def open_store(url: str, *, clock: Clock, database: Callable[[str, MetaData], Awaitable[Database]]) -> KVStore:
    """The store that `url` names, ready to use; `Invalid` (`ADAPTER_UNKNOWN`) where the table has no such scheme.

    `clock` is for a store that has none of its own; `database` gives the one at an address, with these tables in it.
    """
    return cast("KVStore", await module_for(url, MODULE_BY_SCHEME).open(url, clock=clock, database=database))
