"""Scripts that run inside the server."""

from pathlib import Path

from services.drivers.redis import Redis, Script


async def test_the_server_calls_a_script_by_the_same_hash(redis: Redis) -> None:
    script = Script("return 1")
    assert await redis.call(*script.load()) == script.sha


def test_files_are_one_script(tmp_path: Path) -> None:
    first, second = tmp_path / "first.lua", tmp_path / "second.lua"
    first.write_text("local one = 1\n")
    second.write_text("return one\n")
    assert Script.of(first, second).source == b"local one = 1\n\nreturn one\n"


def test_a_run_names_its_keys_first() -> None:
    script = Script("return KEYS[1]")
    assert script.run(["a", "b"], [b"c", 4]) == ["EVALSHA", script.sha, 2, "a", "b", b"c", 4]
