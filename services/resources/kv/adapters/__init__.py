"""Where keys may be kept, and the one table that chooses."""

from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from typing import cast
from urllib.parse import urlsplit

from sqlalchemy import MetaData

from services.drivers.sql import Database
from services.resources.kv.ports import KVStore
from theory.core.clock import Clock
from theory.core.errors import Invalid

# Modules are named, not imported: what a product needs loads only where it is used.
MODULE_BY_SCHEME: Mapping[str, str] = {
    "memory": "services.resources.kv.adapters.memory",
    "sqlite": "services.resources.kv.adapters.sql",
}


async def open_store(url: str, *, clock: Clock, database: Callable[[str, MetaData], Awaitable[Database]]) -> KVStore:
    """The store that `url` names, ready to use; `Invalid` (`ADAPTER_UNKNOWN`) where the table has no such scheme.

    `clock` is for a store that has none of its own; `database` gives the one at an address, with these tables in it.
    """
    scheme = urlsplit(url).scheme
    if scheme not in MODULE_BY_SCHEME:
        known = ", ".join(sorted(MODULE_BY_SCHEME))
        raise Invalid("ADAPTER_UNKNOWN", f"no adapter has the scheme of this URL: known are {known}", scheme=scheme)
    module = import_module(MODULE_BY_SCHEME[scheme])
    return cast("KVStore", await module.open(url, clock=clock, database=database))
