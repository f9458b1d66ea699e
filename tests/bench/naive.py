"""Redis as one would use it without us: redis-py, one call at a time for each client, nothing batched.

Keys are plain SET, GET and INCR. The queue is a hash of bodies and a set by time: a MULTI pipeline publishes, a script
takes one message and hides it, a MULTI pipeline acknowledges. It has no fence against late consumers, no limits, no
idempotency, no dead letters and no events: less than what it is compared with.
"""

from collections.abc import Awaitable
from itertools import count
from typing import Any, Self, cast

import redis.asyncio

_TAKE = """
local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1], 'LIMIT', 0, 1)
if #due == 0 then return false end
redis.call('ZADD', KEYS[2], ARGV[1] + ARGV[2], due[1])
return {due[1], redis.call('HGET', KEYS[1], due[1])}
"""
_BODIES, _TIMES = "naive:bodies", "naive:times"


class Naive:
    """Keys and a queue; every call goes to the server by itself."""

    def __init__(self, path: str, clients: int) -> None:
        pool = redis.asyncio.ConnectionPool(
            connection_class=redis.asyncio.UnixDomainSocketConnection, path=path, max_connections=clients
        )
        self._redis = redis.asyncio.Redis(connection_pool=pool)
        self._take = self._redis.register_script(_TAKE)
        self._ids = count()
        self._now = count()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._redis.aclose()
        await self._redis.connection_pool.aclose()

    async def put(self, key: str, value: bytes) -> None:
        """SET."""
        await self._redis.set(f"naive:{key}", value)

    async def get(self, key: str) -> bytes | None:
        """GET."""
        return cast("bytes | None", await self._redis.get(f"naive:{key}"))

    async def incr(self, key: str) -> int:
        """INCR."""
        return await self._redis.incr(f"naive:{key}")

    async def publish(self, body: bytes) -> None:
        """HSET and ZADD, in one transaction."""
        message_id = f"{next(self._ids)}"
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.hset(_BODIES, message_id, body)
            pipeline.zadd(_TIMES, {message_id: next(self._now)})
            await pipeline.execute()

    async def consume(self) -> tuple[bytes, bytes] | None:
        """The script; the id and the body of what it took."""
        taking = self._take(keys=[_BODIES, _TIMES], args=[next(self._now), 1_000_000_000])
        found = await cast("Awaitable[Any]", taking)
        return (found[0], found[1]) if found else None

    async def ack(self, message_id: bytes) -> None:
        """ZREM and HDEL, in one transaction."""
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.zrem(_TIMES, message_id)
            pipeline.hdel(_BODIES, message_id)
            await pipeline.execute()
