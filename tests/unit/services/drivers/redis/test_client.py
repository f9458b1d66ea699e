"""The one Redis of an address."""

import asyncio

import pytest

from services.drivers.redis import Address, Redis, Script
from tests.servers import Redis as Server
from tests.servers import redis_server
from tests.turned_redis import full
from tests.unit.services.drivers.redis.conftest import Scripted, Serve, opened
from theory.core.clock import SystemClock
from theory.core.errors import Corrupt, Exhausted, Invalid, NotReady, Unavailable
from theory.core.secret import Secret

_COUNT = Script("return redis.call('INCRBY', KEYS[1], ARGV[1])")


async def test_replies_are_bytes_numbers_lists_and_nothing(redis: Redis) -> None:
    await redis.call("RPUSH", "list", b"\x00\r\n", "\u00e9", 7)
    assert await redis.call("LRANGE", "list", 0, -1) == [b"\x00\r\n", b"\xc3\xa9", b"7"]
    assert await redis.call("LLEN", "list") == 3
    assert await redis.call("GET", "nothing") is None


async def test_concurrent_calls_get_their_own_replies(redis: Redis) -> None:
    answers = await asyncio.gather(*(redis.call("ECHO", str(idx)) for idx in range(1_000)))
    assert answers == [str(idx).encode() for idx in range(1_000)]


async def test_a_refused_call_stops_no_other(redis: Redis) -> None:
    await redis.call("SET", "text", "abc")
    first, refused, second = await asyncio.gather(
        redis.call("ECHO", "1"), redis.call("LLEN", "text"), redis.call("ECHO", "2"), return_exceptions=True
    )
    assert (first, second) == (b"1", b"2")
    assert isinstance(refused, Corrupt)


async def test_a_cancelled_call_leaves_the_others_alone(redis: Redis) -> None:
    calls = [asyncio.create_task(redis.call("ECHO", str(idx))) for idx in range(4)]
    await asyncio.sleep(0)
    calls[0].cancel()
    await asyncio.sleep(0)
    calls[2].cancel()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [each for each in answers if isinstance(each, bytes)] == [b"1", b"3"]


async def test_one_connection_serves_them_all(redis: Redis) -> None:
    await asyncio.gather(*(redis.call("PING") for _ in range(100)))
    clients = await redis.call("CLIENT", "LIST", "TYPE", "NORMAL")
    assert isinstance(clients, bytes)
    assert len(clients.splitlines()) == 1


async def test_a_script_is_known_after_its_first_run_and_again_after_a_flush(redis: Redis) -> None:
    assert await redis.run(_COUNT, ["n"], [1]) == 1
    assert await redis.call("SCRIPT", "EXISTS", _COUNT.sha) == [1]
    await redis.call("SCRIPT", "FLUSH")
    answers = await asyncio.gather(*(redis.run(_COUNT, ["n"], [1]) for _ in range(10)))
    assert sorted(answers, key=repr) == sorted(range(2, 12), key=repr)


@pytest.mark.slow
async def test_a_restarted_server_is_found_again_and_given_its_scripts() -> None:
    with Server(appendonly=True) as server:
        async with opened(server.url) as redis:
            assert await redis.run(_COUNT, ["n"], [1]) == 1
            server.kill()
            with pytest.raises(Unavailable):
                await redis.run(_COUNT, ["n"], [1])
            server.restart()
            while True:
                try:
                    assert await redis.run(_COUNT, ["n"], [1]) == 2
                except Unavailable:
                    await asyncio.sleep(0)
                    continue
                break


async def test_while_no_server_is_there_calls_fail_at_once() -> None:
    with pytest.raises(Unavailable) as caught:
        await Redis.open("redis+unix:///nowhere/redis.sock", None, SystemClock())
    assert caught.value.reason == "STORE_UNREACHABLE"


async def test_a_call_whose_connection_broke_is_not_sent_again(scripted: Scripted) -> None:
    heard: list[bytes] = []
    url = await scripted(_breaking(heard))
    redis = _unopened(url)
    with pytest.raises(Unavailable) as caught:
        await redis.call("INCR", "n")
    assert caught.value.reason == "STORE_UNREACHABLE"
    with pytest.raises(Unavailable):
        await redis.call("INCR", "m")
    await redis.close()
    assert heard == [b"n", b"m"]


async def test_a_call_that_may_be_repeated_is_sent_once_more(scripted: Scripted) -> None:
    heard: list[bytes] = []
    redis = _unopened(await scripted(_breaking(heard)))
    with pytest.raises(Unavailable):
        await redis.call("GET", "n", repeat=True)
    await redis.close()
    assert heard == [b"n", b"n"]


async def test_a_late_reply_breaks_the_connection(scripted: Scripted) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    redis = _unopened(await scripted(serve), answer_s=0.02)
    answers = await asyncio.gather(redis.call("INCR", "n"), redis.call("INCR", "m"), return_exceptions=True)
    assert [type(each) for each in answers] == [Unavailable] * 2
    await redis.close()


async def test_what_is_no_redis_is_damage(scripted: Scripted) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    with pytest.raises(Corrupt) as caught:
        await Redis.open(await scripted(serve), None, SystemClock())
    assert caught.value.reason == "STORE_CORRUPT"


async def test_a_server_that_became_a_replica_is_left(scripted: Scripted) -> None:
    connections: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(len(connections))
        await _command(reader)
        writer.write(b"+OK\r\n" if len(connections) > 1 else b"-READONLY You can't write against a replica.\r\n")
        await writer.drain()
        await reader.read()

    redis = _unopened(await scripted(serve))
    with pytest.raises(Unavailable):
        await redis.call("INCR", "n")
    assert await redis.call("INCR", "n") == b"OK"
    await redis.close()


async def test_a_closed_one_answers_nobody(url: str) -> None:
    async with opened(url) as redis:
        waiting = asyncio.create_task(redis.call("BLPOP", "nothing", 5))
        await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await waiting
    with pytest.raises(Unavailable):
        await redis.call("PING")


async def test_a_server_that_is_full_says_so(redis: Redis) -> None:
    async with full(redis):
        for asked in (redis.call("SET", "k", "v"), redis.run(_COUNT, ["n"], [1])):
            with pytest.raises(Exhausted) as caught:
                await asked
            assert caught.value.reason == "STORE_FULL"


@pytest.mark.slow
async def test_a_server_that_would_forget_is_refused() -> None:
    with redis_server(options=["--maxmemory", "8mb", "--maxmemory-policy", "volatile-ttl"]) as url:
        with pytest.raises(Invalid, match="volatile-ttl") as caught:
            await Redis.open(url, None, SystemClock())
        assert caught.value.reason == "CONFIG_INVALID"


@pytest.mark.slow
async def test_a_wrong_password_is_told_apart_from_a_server_that_is_away() -> None:
    with redis_server(options=["--aclfile", ""]) as url:
        async with opened(url) as redis:
            await redis.call("CONFIG", "SET", "requirepass", "hunter2")
        for secret in (None, Secret("password", "wrong")):
            with pytest.raises(NotReady) as caught:
                await Redis.open(url, secret, SystemClock())
            assert caught.value.reason == "STORE_DENIED"
        redis = await Redis.open(url, Secret("password", "hunter2"), SystemClock())
        await redis.ready()
        await redis.close()


async def test_a_server_that_keeps_its_figures_to_itself_is_used(url: str, redis: Redis) -> None:
    await redis.call("ACL", "SETUSER", "few", "on", "nopass", "~*", "+ping", "+select", "+get")
    few = await Redis.open(url.replace("://", "://few@"), Secret("password", "any"), SystemClock())
    assert await few.call("GET", "a") is None
    await few.close()


def _unopened(url: str, answer_s: float = 10.0) -> Redis:
    return Redis(Address.parse(url), None, SystemClock(), answer_s=answer_s)


def _breaking(heard: list[bytes]) -> Serve:
    """A server that hears one command of each connection and goes away."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append((await _command(reader))[1])

    return serve


async def _command(reader: asyncio.StreamReader) -> list[bytes]:
    count = int((await reader.readline())[1:])
    words = []
    for _ in range(count):
        size = int((await reader.readline())[1:])
        words.append((await reader.readexactly(size + 2))[:-2])
    return words
