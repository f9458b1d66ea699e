"""Keys in Redis or Valkey: `redis://host:port/db`, `rediss://host:port/db`, `redis+unix:///path/to/socket?db=N`."""

from services.drivers.opening import Opening
from services.drivers.redis import Outbox, Redis
from services.resources.kv.adapters.redis.store import AREA, RedisKV, read_change
from services.resources.kv.ports import KVQuotas, KVStore


async def open(url: str, opening: Opening, quotas: KVQuotas) -> KVStore:
    """The store at the address; one server may hold queues, too."""

    async def connect() -> Redis:
        return await Redis.open(url, opening.secret, opening.clock)

    redis = await opening.share(f"redis {url}", connect)

    async def fill() -> Outbox:
        return Outbox(redis, place=AREA, area=AREA, read=read_change, append=opening.append, clock=opening.clock)

    return RedisKV(redis, await opening.share(f"redis outbox {AREA} {url}", fill), quotas)
