"""How a store of messages in Redis is put together, whichever way it keeps bodies."""

from services.drivers.opening import Opening
from services.drivers.redis import Outbox, Redis
from services.resources.queue.adapters.redis.scripts import Storage
from services.resources.queue.adapters.redis.store import RedisQueue, read_change
from services.resources.queue.ports import QueueQuotas

_AREA = "queue"


async def open_queue(url: str, opening: Opening, quotas: QueueQuotas, storage: Storage) -> RedisQueue:
    """The store at the address of a server, with connections that others of this service share."""

    async def connect() -> Redis:
        return await Redis.open(url, opening.secret, opening.clock)

    redis = await opening.share(f"redis {url}", connect)

    async def fill() -> Outbox:
        return Outbox(
            redis, place=storage.place, area=_AREA, read=read_change, append=opening.append, clock=opening.clock
        )

    outbox = await opening.share(f"redis outbox {storage.place} {url}", fill)
    return RedisQueue(redis, outbox, quotas, storage, opening.ids)
