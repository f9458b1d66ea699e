"""Messages between replicas."""

import asyncio

from services.drivers.redis import Redis
from services.drivers.redis.address import Address
from services.drivers.redis.listener import Listener
from theory.core.clock import FakeClock, SystemClock


async def test_a_message_is_heard_by_whoever_subscribed(url: str, redis: Redis) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    listener = Listener(Address.parse(url), None, SystemClock())
    listener.subscribe("a", heard.put_nowait)
    listener.start()
    await _until_heard(redis, "a")
    await redis.call("PUBLISH", "b", b"not for us")
    await redis.call("PUBLISH", "a", b"\x00one")
    assert await heard.get() == b"\x00one"
    await listener.close()


async def test_a_listener_that_fails_hears_the_next_message(url: str, redis: Redis) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    def hear(said: bytes) -> None:
        if said == b"bad":
            raise ValueError(said)
        heard.put_nowait(said)

    listener = Listener(Address.parse(url), None, SystemClock())
    listener.subscribe("a", hear)
    listener.start()
    await _until_heard(redis, "a")
    await redis.call("PUBLISH", "a", b"bad")
    await redis.call("PUBLISH", "a", b"good")
    assert await heard.get() == b"good"
    await listener.close()


async def test_a_listener_comes_back_after_its_connection_broke(url: str, redis: Redis) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    clock = FakeClock()
    listener = Listener(Address.parse(url), None, clock)
    listener.subscribe("a", heard.put_nowait)
    listener.start()
    await _until_heard(redis, "a")
    await redis.call("CLIENT", "KILL", "TYPE", "pubsub")
    await clock.until_sleepers(1)
    clock.advance(1)
    await _until_heard(redis, "a")
    await redis.call("PUBLISH", "a", b"again")
    assert await heard.get() == b"again"
    await listener.close()


async def test_a_listener_that_nobody_subscribed_to_does_nothing(url: str, redis: Redis) -> None:
    listener = Listener(Address.parse(url), None, SystemClock())
    listener.start()
    await listener.close()
    assert await redis.call("PUBSUB", "CHANNELS") == []


async def _until_heard(redis: Redis, channel: str) -> None:
    while await redis.call("PUBSUB", "NUMSUB", channel) != [channel.encode(), 1]:
        pass
