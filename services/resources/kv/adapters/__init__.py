"""Where keys may be kept, and the one table that chooses."""

from collections.abc import Mapping
from typing import cast

from services.drivers.choice import module_for
from services.drivers.opening import Opening
from services.resources.kv.ports import KVQuotas, KVStore

MODULE_BY_SCHEME: Mapping[str, str] = {
    "memory": "services.resources.kv.adapters.memory",
    "modal": "services.resources.kv.adapters.modal",
    "postgresql": "services.resources.kv.adapters.sql",
    "redis": "services.resources.kv.adapters.redis",
    "redis+unix": "services.resources.kv.adapters.redis",
    "rediss": "services.resources.kv.adapters.redis",
    "sqlite": "services.resources.kv.adapters.sql",
}


async def open_store(url: str, opening: Opening, quotas: KVQuotas) -> KVStore:
    """The store that `url` names, ready to use; `Invalid` (`ADAPTER_UNKNOWN`) where the table has no such scheme."""
    return cast("KVStore", await module_for(url, MODULE_BY_SCHEME).open(url, opening, quotas))
