"""A Redis whose scripts read the clock of a test: the same server, the same scripts, another answer to TIME."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Self

from services.drivers.moments import to_us
from services.drivers.redis import Address, Argument, Redis, Script
from theory.core.clock import FakeClock, SystemClock

_TIME = b"redis.call('TIME')"
_SECOND_US = 1_000_000
_SLOTS = 16_384


class TurnedRedis(Redis):
    """Opened like any other; then `turned` names the clock."""

    turned: FakeClock

    @classmethod
    @asynccontextmanager
    async def at(cls, url: str, clock: FakeClock) -> AsyncIterator[Self]:
        """The server, emptied, at the time of the clock."""
        redis = cls(Address.parse(url), None, SystemClock())
        redis.turned = clock
        try:
            await redis.call("FLUSHALL")
            yield redis
        finally:
            await redis.close()

    async def run(
        self, script: Script, keys: Iterable[str], arguments: Iterable[Argument] = (), *, repeat: bool = False
    ) -> object:
        seconds, us = divmod(to_us(self.turned.now()), _SECOND_US)
        turned = script.source.replace(_TIME, b"{%d, %d}" % (seconds, us))
        return await super().run(Script(turned.decode()), keys, arguments, repeat=repeat)


async def become_cluster(redis: Redis) -> None:
    """Make a server with `--cluster-enabled yes` a cluster of one: it checks slots as any other."""
    await redis.call("CLUSTER", "ADDSLOTS", *range(_SLOTS))
    while True:
        told = await redis.call("CLUSTER", "INFO")
        if isinstance(told, bytes) and b"cluster_state:ok" in told:
            return


@asynccontextmanager
async def full(redis: Redis) -> AsyncIterator[None]:
    """The server has no room at all."""
    await redis.call("CONFIG", "SET", "maxmemory", 1)
    try:
        yield
    finally:
        await redis.call("CONFIG", "SET", "maxmemory", 0)
