"""Where documents may be kept, and the one table that chooses."""

from collections.abc import Mapping
from typing import cast

from services.drivers.choice import module_for
from services.registry.ports import RegistryStore
from theory.core.clock import Clock

MODULE_BY_SCHEME: Mapping[str, str] = {
    "memory": "services.registry.adapters.sql",
    "sqlite": "services.registry.adapters.sql",
}


async def open_store(url: str, clock: Clock) -> RegistryStore:
    """The store that `url` names, ready to use; `Invalid` (`ADAPTER_UNKNOWN`) for a scheme that is not in the table."""
    return cast("RegistryStore", await module_for(url, MODULE_BY_SCHEME).open(url, clock))
