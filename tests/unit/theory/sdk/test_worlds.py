"""Worlds as the ledger says that they were: by its events alone, and only where its hashes are right."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.theory.sdk.conftest import Installation
from theory.core.chain import Event, NewEvent, seal
from theory.core.cid import Cid
from theory.core.errors import Corrupt, Invalid, NotFound
from theory.core.ids import PlanId
from theory.core.jcs import JSON
from theory.core.ledger import PlanEvent, Position
from theory.core.world_path import PathPrefix, WorldName, WorldPath
from theory.sdk.worlds import written
from theory.wire.identity import Role, ServiceKeys
from theory.world.file import WorldFile

_WORLD, _PLAN, _CHAIN = WorldName("shared"), PlanId("p-1"), "system.artifacts"
_BODY: dict[str, JSON] = {"world": "shared", "path": "/artifacts/a", "cid": Cid.of(b"a").text, "size": 1}


def _file(path: str, data: bytes) -> WorldFile:
    return WorldFile(WorldPath.parse(path), Cid.of(data), len(data))


def _event(kind: str, body: dict[str, JSON]) -> Event:
    return seal(NewEvent("e", kind, "2026-01-01T00:00:00.000000Z", body), "p-1", 1, "0" * 64)


@pytest.fixture
async def theory(installation: Installation) -> Installation:
    """Two direct writes without a plan, one in the name of a plan, and one to another world."""
    artifacts = installation.theory.artifacts
    await artifacts.put_bytes(_WORLD, WorldPath("/artifacts/a"), b"a")
    await _until(installation, _CHAIN, 1)
    await artifacts.put_bytes(_WORLD, WorldPath("/artifacts/in/b"), b"bb")
    await artifacts.put_bytes(WorldName("other"), WorldPath("/artifacts/a"), b"other")
    await artifacts.put_bytes(_WORLD, WorldPath("/artifacts/c"), b"", plan_id=_PLAN)
    await _until(installation, _CHAIN, 3)
    await _until(installation, _PLAN.text, 1)
    return installation


async def _until(installation: Installation, chain: str, seq: int) -> None:
    """Events of direct writes follow a little later."""
    async with asyncio.timeout(5):
        while {head.plan_id: head.seq async for head in installation.theory.ledger.chains()}.get(chain) != seq:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)


async def _append(installation: Installation, path: str, data: bytes) -> None:
    """Let artifacts record what it never would."""
    token = ServiceKeys.load(installation.home).token_of(Role.ARTIFACTS)
    async with type(installation.theory).connect(installation.theory.url, token=token) as as_artifacts:
        body: dict[str, JSON] = {"world": "shared", "path": path, "cid": Cid.of(data).text, "size": len(data)}
        event = NewEvent("forged", "artifact.written", "2026-01-01T00:00:00.000000Z", body)
        await as_artifacts.ledger.append(PlanEvent(_PLAN.text, event))


@pytest.mark.parametrize(
    ("positions", "files"),
    [
        ([], [("/artifacts/a", b"a"), ("/artifacts/c", b""), ("/artifacts/in/b", b"bb")]),
        ([f"{_CHAIN}@0"], []),
        (["nobody@0"], []),
        ([f"{_CHAIN}@1"], [("/artifacts/a", b"a")]),
        ([f"{_CHAIN}@3"], [("/artifacts/a", b"a"), ("/artifacts/in/b", b"bb")]),
        (["p-1@1"], [("/artifacts/c", b"")]),
        ([f"{_CHAIN}@1", "p-1@1", f"{_CHAIN}@1"], [("/artifacts/a", b"a"), ("/artifacts/c", b"")]),
        ([f"{_CHAIN}@3", "p-1@1"], [("/artifacts/a", b"a"), ("/artifacts/c", b""), ("/artifacts/in/b", b"bb")]),
    ],
)
@pytest.mark.slow
async def test_a_world_is_what_its_chains_say_up_to_then(
    theory: Installation, positions: list[str], files: list[tuple[str, bytes]]
) -> None:
    found = await theory.theory.worlds.at(_WORLD, [Position.parse(each) for each in positions])
    assert found == [_file(*each) for each in files]


@pytest.mark.slow
async def test_a_folder_of_a_world_is_what_lies_below_it(theory: Installation) -> None:
    below = PathPrefix("/artifacts/in/")
    for positions in ([], [Position(_CHAIN, 3)]):
        assert await theory.theory.worlds.at(_WORLD, positions, below) == [_file("/artifacts/in/b", b"bb")]


@pytest.mark.slow
async def test_a_chain_that_ends_before_is_not_found(theory: Installation) -> None:
    with pytest.raises(NotFound) as caught:
        await theory.theory.worlds.at(_WORLD, [Position("p-1", 2)])
    assert caught.value.reason == "POSITION_UNKNOWN"
    assert caught.value.metadata == {"chain": "p-1", "seq": "2", "head_seq": "1"}
    with pytest.raises(Invalid):
        await theory.theory.worlds.at(_WORLD, [Position("No Chain", 1)])


@pytest.mark.slow
async def test_a_chain_with_a_wrong_hash_says_nothing(theory: Installation) -> None:
    with closing(sqlite3.connect(theory.home / "ledger.db")) as books, books:
        for (name,) in books.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            books.execute(f"DROP TRIGGER {name}")
        damage = "UPDATE event SET preimage = CAST(replace(CAST(preimage AS TEXT), ?, ?) AS BLOB)"
        books.execute(
            f"{damage} WHERE chain = (SELECT chain FROM head WHERE plan_id = ?)",
            (Cid.of(b"a").text, Cid.of(b"x").text, _CHAIN),
        )
    with pytest.raises(Corrupt) as caught:
        await theory.theory.worlds.at(_WORLD, [Position(_CHAIN, 3)])
    assert caught.value.reason == "VERIFICATION_FAILED"
    assert (caught.value.metadata["chain"], caught.value.metadata["what"]) == (_CHAIN, "HASH")


@pytest.mark.slow
async def test_a_path_with_two_contents_is_damage(theory: Installation) -> None:
    await _append(theory, "/artifacts/a", b"another")
    with pytest.raises(Corrupt) as caught:
        await theory.theory.worlds.at(_WORLD, [Position(_CHAIN, 3), Position("p-1", 2)])
    assert (caught.value.reason, caught.value.metadata["path"]) == ("VERIFICATION_FAILED", "/artifacts/a")


@pytest.mark.slow
async def test_a_world_of_then_is_laid_out_and_brought_to_now(theory: Installation, tmp_path: Path) -> None:
    worlds, directory = theory.theory.worlds, tmp_path / "mount"
    then = await worlds.mount(_WORLD, directory, cache=tmp_path / "cache", positions=[Position(_CHAIN, 1)])
    assert (then.files, then.size_bytes, then.reused) == (1, 1, 0)
    assert (directory / "artifacts" / "a").read_bytes() == b"a"
    assert not (directory / "artifacts" / "in").exists()
    now = await worlds.mount(_WORLD, directory, cache=tmp_path / "cache")
    assert (now.files, now.size_bytes, now.reused) == (3, 3, 1)
    assert (directory / "artifacts" / "in" / "b").read_bytes() == b"bb"


def test_an_event_tells_of_a_file() -> None:
    assert written(_event("artifact.written", _BODY)) == (_WORLD, _file("/artifacts/a", b"a"))


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("artifact.read", {}),
        ("artifact.written", {"path": "/elsewhere"}),
        ("artifact.written", {"cid": "b3:zz"}),
        ("artifact.written", {"size": "1"}),
        ("artifact.written", {"world": "No World"}),
    ],
)
def test_an_event_that_names_no_file_tells_of_none(kind: str, change: dict[str, JSON]) -> None:
    assert written(_event(kind, _BODY | change)) is None
