"""Messages in Redis or Valkey: `redis://host:port/db`, `rediss://host:port/db`, `redis+unix:///path/to/socket?db=N`."""

from pathlib import Path

from services.drivers.moments import from_us
from services.drivers.opening import Opening
from services.resources.queue.adapters.redis.opening import open_queue
from services.resources.queue.adapters.redis.scripts import Storage
from services.resources.queue.ports import QueueQuotas, QueueStore

_MOMENT_DIGITS = 14

HASH = Storage(
    kind="redis",
    place="queue",
    bodies=Path(__file__).with_name("bodies.lua"),
    publish_time=lambda message_id: from_us(int(message_id[:_MOMENT_DIGITS], 16)),
)
"""Bodies in a hash per topic."""


async def open(url: str, opening: Opening, quotas: QueueQuotas) -> QueueStore:
    """The store at the address; one server may hold keys, too."""
    return await open_queue(url, opening, quotas, HASH)
