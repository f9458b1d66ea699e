"""Where documents may be kept, and the one table that chooses."""

from collections.abc import Mapping
from importlib import import_module
from typing import cast

from services.registry.ports import RegistryStore
from theory.core.clock import Clock
from theory.core.errors import Invalid

# Modules are named, not imported: what a product needs loads only where it is used.
MODULE_BY_SCHEME: Mapping[str, str] = {
    "memory": "services.registry.adapters.sql",
    "sqlite": "services.registry.adapters.sql",
}


async def open_store(url: str, clock: Clock) -> RegistryStore:
    """The store that `url` names, ready to use; `Invalid` (`ADAPTER_UNKNOWN`) for a scheme that is not in the table."""
    scheme = url.partition(":")[0]
    if scheme not in MODULE_BY_SCHEME:
        known = ", ".join(sorted(MODULE_BY_SCHEME))
        raise Invalid("ADAPTER_UNKNOWN", f"no adapter has the scheme of this URL: known are {known}", scheme=scheme)
    return cast("RegistryStore", await import_module(MODULE_BY_SCHEME[scheme]).open(url, clock))
