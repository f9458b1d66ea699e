"""What the keys and the queues of a plan have in common."""

from pathlib import Path

from services.drivers.redis import Redis, scratch


def test_every_name_of_a_plan_is_in_its_slot() -> None:
    assert scratch.place_of("p-1", "kv") == "theory:{p-1}:kv"
    assert scratch.events_of("p-1", "kv") == "theory:{p-1}:kv:events"


async def test_a_plan_is_begun_unless_it_has_ended(redis: Redis) -> None:
    keys = (scratch.place_of("p-1", "kv"), scratch.events_of("p-1", "kv"))
    assert await redis.run(scratch.BEGIN, keys, [7]) == 1
    assert await redis.call("HGETALL", keys[0]) == [b"every", b"7"]
    await redis.call("HSET", keys[0], "ended", 1)
    assert await redis.run(scratch.BEGIN, keys, [8]) == 0
    assert await redis.call("HGET", keys[0], "every") == b"7"


async def test_each_nth_change_becomes_an_event_with_its_number_and_the_servers_time(
    redis: Redis, tmp_path: Path
) -> None:
    body = tmp_path / "changes.lua"
    body.write_text("for _, text in ipairs(ARGV) do change(text) end\nreturn {keep_events(), whole(now)}\n")
    script = scratch.script(body)
    keys = (scratch.place_of("p-1", "kv"), scratch.events_of("p-1", "kv"))
    await redis.run(script, keys, ["unheard"])
    await redis.run(scratch.BEGIN, keys, [3])
    first = await redis.run(script, keys, ["a", "b"])
    second = await redis.run(script, keys, ["c c", "d", "e", "f"])
    assert isinstance(first, list)
    assert isinstance(second, list)
    assert (first[0], second[0]) == (0, 2)
    assert await redis.call("LRANGE", keys[1], 0, -1) == [b"3 %b c c" % second[1], b"6 %b f" % second[1]]
    assert await redis.call("HGET", keys[0], "changes") == b"6"
