"""Messages in Redis or Valkey, with bodies in a stream per topic: `redis-streams://host:port/db`.

`rediss-streams://` is the same over TLS, `redis-streams+unix:///path/to/socket?db=N` over a socket. Everything but the
bodies is as in `redis`: a stream's own consumer groups know no timeout per delivery, no delay, and no handle that a
newer delivery makes void.
"""

from pathlib import Path

from services.drivers.moments import from_us
from services.drivers.opening import Opening
from services.resources.queue.adapters.redis.opening import open_queue
from services.resources.queue.adapters.redis.scripts import Storage
from services.resources.queue.ports import QueueQuotas, QueueStore

STREAM = Storage(
    kind="redis_streams",
    place="streams",
    bodies=Path(__file__).with_name("bodies.lua"),
    publish_time=lambda message_id: from_us(int(message_id.partition("-")[0])),
)
"""Bodies in a stream per topic."""


async def open(url: str, opening: Opening, quotas: QueueQuotas) -> QueueStore:
    """The store at the address; one server may hold keys, too."""
    scheme, colon, rest = url.partition(":")
    return await open_queue(scheme.replace("-streams", "") + colon + rest, opening, quotas, STREAM)
