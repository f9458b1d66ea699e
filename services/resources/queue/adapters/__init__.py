"""Where messages may be kept, and the one table that chooses."""

from collections.abc import Mapping
from typing import cast

from services.drivers.choice import module_for
from services.drivers.opening import Opening
from services.resources.queue.ports import QueueQuotas, QueueStore

MODULE_BY_SCHEME: Mapping[str, str] = {
    "memory": "services.resources.queue.adapters.memory",
    "modal": "services.resources.queue.adapters.modal",
    "postgresql": "services.resources.queue.adapters.sql",
    "redis": "services.resources.queue.adapters.redis",
    "redis+unix": "services.resources.queue.adapters.redis",
    "redis-streams": "services.resources.queue.adapters.redis_streams",
    "redis-streams+unix": "services.resources.queue.adapters.redis_streams",
    "rediss": "services.resources.queue.adapters.redis",
    "rediss-streams": "services.resources.queue.adapters.redis_streams",
    "sqlite": "services.resources.queue.adapters.sql",
    "sqs": "services.resources.queue.adapters.sqs",
}


async def open_store(url: str, opening: Opening, quotas: QueueQuotas) -> QueueStore:
    """The store that `url` names, ready to use; `Invalid` (`ADAPTER_UNKNOWN`) where the table has no such scheme."""
    return cast("QueueStore", await module_for(url, MODULE_BY_SCHEME).open(url, opening, quotas))
