"""`theory artifacts` and `theory streams`, as people use them, against five services."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.commands import Command, commanded
from theory.core.cid import Cid

pytestmark = pytest.mark.slow


@pytest.fixture
async def theory(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> AsyncIterator[Command]:
    memory = getattr(request, "param", "memory") == "memory"
    async with commanded(tmp_path_factory, memory=memory) as command:
        yield command


async def test_files_of_a_world_are_put_listed_described_and_read(theory: Command) -> None:
    await theory.ok("artifacts", "put", "shared", "/artifacts/letters/", "a.txt")
    given = await theory.started("artifacts", "put", "shared", "/artifacts/letters/c.bin", "-", stdin=b"\x00\xff")
    assert given.code == 0
    listed = (await theory.ok("artifacts", "ls", "shared", "/artifacts/letters/", "--json")).document
    assert [(each["path"], each["content_type"]) for each in listed["artifacts"]] == [
        ("/artifacts/letters/a.txt", "text/plain"),
        ("/artifacts/letters/c.bin", "application/octet-stream"),
    ]
    assert (await theory.started("artifacts", "cat", "shared", "/artifacts/letters/a.txt")).out == "a"
    assert Cid.of(b"a").text in (await theory.ok("artifacts", "stat", "shared", "/artifacts/letters/a.txt")).out
    await theory.ok("artifacts", "get", "shared", "/artifacts/letters/", "--into", "copy")
    assert (theory.folder / "copy" / "c.bin").read_bytes() == b"\x00\xff"

    refused = await theory("artifacts", "put", "shared", "/artifacts/letters/a.txt", "b.txt")
    assert refused.code == 1
    assert "reason: PATH_BOUND" in refused.err
    assert (await theory("artifacts", "cat", "shared", "/artifacts/none")).code == 1
    assert (await theory.started("artifacts", "ls", "shared", "/ARTIFACTS/")).code == 2


async def test_a_world_is_drawn_as_a_tree_with_sizes(theory: Command) -> None:
    for path in ("/artifacts/a", "/artifacts/in/b", "/artifacts/in/deep/c"):
        await theory.ok("artifacts", "put", "shared", path, "a.txt")
    assert (await theory.ok("artifacts", "tree", "shared")).out.splitlines() == [
        "/",
        "└── artifacts/  3 files, 3 B",
        "    ├── a  1 B",
        "    └── in/  2 files, 2 B",
        "        ├── b  1 B",
        "        └── deep/  1 file, 1 B",
        "            └── c  1 B",
        "3 files, 3 B in world shared",
    ]
    folded = await theory.ok("artifacts", "tree", "shared", "/artifacts/in/", "--depth", "1")
    assert folded.out.splitlines()[1:-1] == ["├── b  1 B", "└── deep/  1 file, 1 B"]
    document = (await theory.ok("artifacts", "tree", "shared", "/artifacts/in/", "--json")).document
    assert (document["file_count"], document["size_bytes"]) == (2, 2)
    assert document["files"]["b"]["cid"] == Cid.of(b"a").text
    assert list(document["folders"]["deep"]["files"]) == ["c"]
    assert (await theory("artifacts", "tree", "shared", "--depth", "0")).code == 2


async def test_two_worlds_are_compared_and_the_exit_code_says_whether_they_differ(theory: Command) -> None:
    for world, path, file in (
        *(("one", "/artifacts/in/same", "a.txt"), ("two", "/artifacts/in/same", "a.txt")),
        *(("one", "/artifacts/changed", "a.txt"), ("two", "/artifacts/changed", "b.txt")),
        *(("one", "/artifacts/old", "a.txt"), ("two", "/artifacts/new", "a.txt")),
    ):
        await theory.ok("artifacts", "put", world, path, file)
    different = await theory("artifacts", "diff", "one", "two")
    assert different.code == 1
    assert different.out.splitlines() == [
        "~  /artifacts/changed  1 B -> 1 B",
        "+  /artifacts/new      1 B",
        "-  /artifacts/old      1 B",
        "1 added, 1 removed, 1 changed, from world one to two",
    ]
    same = await theory.ok("artifacts", "diff", "one", "two", "/artifacts/in/", "--json")
    assert same.document == {
        "world_a": "one",
        "world_b": "two",
        "prefix": "/artifacts/in/",
        "same": True,
        "added": [],
        "removed": [],
        "changed": [],
    }
    (changed,) = (await theory("artifacts", "diff", "one", "two", "--json")).document["changed"]
    assert changed["path"] == "/artifacts/changed"
    assert (changed["a"]["cid"], changed["b"]["cid"]) == (Cid.of(b"a").text, Cid.of(b"b").text)
    assert "world none has nothing" in (await theory("artifacts", "diff", "one", "none")).err
    # No trouble looks like a difference.
    trouble = await theory("artifacts", "diff", "latest", "two")
    assert trouble.code == 2
    assert "reason: PLAN_UNKNOWN" in trouble.err


@pytest.mark.parametrize("theory", ["disk"], indirect=True)
async def test_damaged_and_missing_bytes_of_a_world_are_named(theory: Command) -> None:
    await theory.ok("artifacts", "put", "shared", "/artifacts/a", "a.txt")
    await theory.ok("artifacts", "put", "shared", "/artifacts/b", "b.txt")
    await theory.ok("artifacts", "put", "shared", "/artifacts/c", "-", stdin=b"c" * 2_000_000)
    sound = (await theory.ok("artifacts", "fsck", "shared", "--json")).document
    assert (sound["sound"], sound["artifacts"], sound["contents"], sound["bytes_hashed"]) == (True, 3, 3, 2_000_002)
    assert "nothing is there in world none" in (await theory.ok("artifacts", "fsck", "none")).out

    stored = (theory.installation.home / "artifacts").rglob("*")
    blobs = {path.parent.name + path.name: path for path in stored if path.is_file()}
    blobs[Cid.of(b"a").hex].unlink()
    damaged = blobs[Cid.of(b"c" * 2_000_000).hex]
    damaged.chmod(0o600)
    damaged.write_bytes(b"c" * 1_999_999 + b"d")
    ended = await theory("artifacts", "fsck", "shared")
    assert ended.code == 4
    assert "/artifacts/a: BLOB_UNKNOWN, the bytes are gone" in ended.out
    assert "/artifacts/c: BLOB_CORRUPT, the stored bytes have another CID" in ended.out
    assert "/artifacts/b" not in ended.out
    told = await theory("artifacts", "fsck", "shared", "/artifacts/", "--json")
    assert told.code == 4
    assert [(each["path"], each["what"]) for each in told.document["faults"]] == [
        ("/artifacts/a", "BLOB_UNKNOWN"),
        ("/artifacts/c", "BLOB_CORRUPT"),
    ]


@pytest.mark.parametrize("theory", ["disk"], indirect=True)
async def test_what_is_stored_is_collected_dropped_and_scrubbed(theory: Command) -> None:
    await theory.ok("artifacts", "put", "shared", "/artifacts/a", "a.txt")
    counted = (await theory.ok("artifacts", "gc", "--dry-run", "--json")).document
    assert (counted["dry_run"], counted["marked_count"], counted["deleted_count"]) == (True, 0, 0)
    assert counted["seen_count"] >= 1
    assert "to go in 24 h 00 min" in (await theory.ok("artifacts", "gc")).out

    assert "sound: " in (await theory.ok("artifacts", "scrub")).out
    damaged = theory.installation.home / "artifacts" / "blobs" / Cid.of(b"a").hex[:2] / Cid.of(b"a").hex[2:]
    damaged.chmod(0o600)
    damaged.write_bytes(b"b")
    told = await theory("artifacts", "scrub", "--json")
    assert (told.code, told.document["damaged"]) == (4, [{"cid": Cid.of(b"a").text, "size_bytes": 1}])

    unsure = await theory("artifacts", "drop", "shared")
    assert unsure.code == 2
    assert "--yes" in unsure.err
    assert (await theory.ok("artifacts", "drop", "shared", "--yes", "--json")).document["path_count"] == 1
    gone = await theory("artifacts", "ls", "shared")
    assert gone.code == 1
    assert "reason: WORLD_DROPPED" in gone.err


async def test_chunks_are_appended_read_and_counted(theory: Command) -> None:
    place = ("shared", "/streams/letters")
    assert (await theory.ok("streams", "append", *place, "hello", "@b.txt", "--max-chunks", "2")).out == "0\n"
    for _ in range(2):
        repeated = await theory.ok("streams", "append", *place, "again", "--expected", "2", "--json")
        assert repeated.document == {"first_idx": 2, "watermark_idx": 2}
    page = (await theory.ok("streams", "read", *place, "--json")).document
    assert [(each["idx"], each["value"]) for each in page["chunks"]] == [(1, "b"), (2, "again")]
    assert (page["next_idx"], page["skipped_chunks"]) == (3, 1)
    assert (await theory.ok("streams", "read", *place, "--last", "1", "--raw")).out == "again"
    assert "again" in (await theory.ok("streams", "read", *place)).out
    (stream,) = (await theory.ok("streams", "status", *place, "--json")).document["streams"]
    assert (stream["chunk_count"], stream["dropped_chunks"], stream["max_chunks"]) == (3, 1, 2)
    assert "/streams/letters" in (await theory.ok("streams", "ls", "shared", "/streams/")).out
    promoted = (await theory.ok("streams", "promote", *place, "2", "/artifacts/letters/last.txt", "--json")).document
    assert (promoted["path"], promoted["content_type"]) == ("/artifacts/letters/last.txt", "text/plain")
    assert (await theory.ok("artifacts", "cat", "shared", "/artifacts/letters/last.txt")).out == "again"
    dropped = await theory("streams", "promote", *place, "0", "/artifacts/letters/first.txt")
    assert dropped.code == 1
    assert "reason: CHUNK_UNKNOWN" in dropped.err
    checked = (await theory.ok("artifacts", "fsck", "shared", "/streams/", "--json")).document
    assert (checked["sound"], checked["artifacts"], checked["chunks"]) == (True, 0, 2)

    other = await theory("streams", "append", *place, "x", "--max-chunks", "3")
    assert other.code == 1
    assert "reason: STREAM_TAKEN" in other.err
    assert (await theory("streams", "read", "shared", "/streams/none")).code == 1
    assert (await theory("streams", "read", "shared", "/artifacts/a")).code == 2
