"""Where messages may be kept, and the one table that chooses."""

from collections.abc import Mapping
from typing import cast

from services.drivers.choice import module_for
from services.drivers.opening import Opening
from services.resources.queue.ports import QueueQuotas, QueueStore

MODULE_BY_SCHEME: Mapping[str, str] = {
    "memory": "services.resources.queue.adapters.memory",
    "sqlite": "services.resources.queue.adapters.sql",
}


async def open_store(url: str, opening: Opening, quotas: QueueQuotas) -> QueueStore:
    """The store that `url` names, ready to use; `Invalid` (`ADAPTER_UNKNOWN`) where the table has no such scheme."""
    return cast("QueueStore", await module_for(url, MODULE_BY_SCHEME).open(url, opening, quotas))
