"""A disk with room for a part of a write: of each item a service keeps all or nothing, and later takes it (I-153).

A write is tried with no room at all, with room for one page, for two, ... until it fits; every write on its way has
then been the one that failed.
"""

import io
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio

from tests.disks import MIB, ballast, small_disk
from tests.documents import tool
from tests.embedded import Embedded, embedded
from theory.core.adapters import KVPut, QueuePublish
from theory.core.artifact import Output
from theory.core.binding import Commitment, Preparation
from theory.core.chain import NewEvent
from theory.core.cid import Cid
from theory.core.errors import Exhausted, NotFound, TheoryError
from theory.core.ids import ExecutionId, PlanId
from theory.core.ledger import PlanEvent
from theory.core.refs import Ref, SpecKind
from theory.core.world_path import WorldName, WorldPath
from theory.sdk.artifacts import ArtifactPut, ArtifactsClient
from theory.sdk.ledger import LedgerClient
from theory.sdk.verify import verify_all
from theory.wire.identity import Role

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

PAGE = 4096
WORLD = WorldName("w")
TS = "2026-01-02T03:04:05.000006Z"
KEPT = b"there before"


@dataclass(frozen=True)
class Write:
    """A write to one service, under a name that was never used before."""

    ask: Callable[[Embedded, str], Awaitable[Sequence[object]]]
    """Send it: an answer per item, or one error for all of them."""
    see: Callable[[Embedded, str], Awaitable[Sequence[bool]]]
    """Which of its items are there."""
    step: int = PAGE


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Embedded]:
    with small_disk(tmp_path_factory.mktemp("h") / "home", size_bytes=64 * MIB) as home:
        async with embedded(home, memory=False) as theory:
            await theory.theory.artifacts.put_blob(KEPT)
            yield theory
            assert [each.faults async for each in verify_all(theory.theory) if each.faults] == []
        assert list((home / "artifacts" / "blobs" / "staging").iterdir()) == []


def _bodies(name: str, how_many: int = 6, size: int = 6000) -> list[bytes]:
    return [f"{name} {at} ".encode() * (size // 8) for at in range(how_many)]


def _large(name: str) -> bytes:
    return (name.encode() + bytes(range(200))) * 6000


# Blobs: in a batch, over gRPC, over HTTP.


async def _put_blobs(house: Embedded, name: str) -> Sequence[object]:
    return await house.theory.artifacts.put_blobs_many(_bodies(name))


async def _see_blobs(house: Embedded, name: str) -> list[bool]:
    cids = [Cid.of(each) for each in _bodies(name)]
    missing = await house.theory.artifacts.find_missing(cids)
    return [cid not in missing for cid in cids]


async def _upload(house: Embedded, name: str) -> Sequence[object]:
    data = _large(name)
    return [await house.theory.artifacts.upload(io.BytesIO(data), len(data))]


async def _upload_by_http(house: Embedded, name: str) -> Sequence[object]:
    assert (await house.theory.artifacts.capabilities()).data_plane is not None
    return [await house.theory.artifacts.put_blob(_large(name))]


async def _see_large(house: Embedded, name: str) -> list[bool]:
    return [not await house.theory.artifacts.find_missing([Cid.of(_large(name))])]


# Paths: written, and bound by an attempt.


def _paths(name: str) -> list[WorldPath]:
    return [WorldPath(f"/artifacts/{name}/{'x' * 200}/{at}") for at in range(12)]


async def _put_artifacts(house: Embedded, name: str) -> Sequence[object]:
    items = [ArtifactPut(path, path.text.encode()) for path in _paths(name)]
    return await house.theory.artifacts.put_many(WORLD, items, plan_id=PlanId.parse(f"p-{name}"))


async def _bind(house: Embedded, name: str) -> Sequence[object]:
    client, plan_id = ArtifactsClient(house.channel(Role.EXECUTOR)), PlanId.parse(f"p-{name}")
    execution_id, cid = ExecutionId.parse(f"{plan_id}.step"), Cid.of(KEPT)
    outputs = tuple(Output(path, cid, len(KEPT)) for path in _paths(name))
    await client.prepare(Preparation(WORLD, plan_id, execution_id, 1, outputs))
    await client.commit(Commitment(WORLD, plan_id, execution_id, 1, "r-1", outputs))
    return [None] * len(outputs)


async def _see_paths(house: Embedded, name: str) -> list[bool]:
    found = await house.theory.artifacts.stat_many(WORLD, _paths(name))
    assert all(isinstance(each, NotFound) for each in found if isinstance(each, TheoryError))
    return [not isinstance(each, TheoryError) for each in found]


# The other services.


async def _append_events(house: Embedded, name: str) -> Sequence[object]:
    events = [NewEvent(f"{name}/{at}", "scratch.kv.changed", TS, {"key": "x" * 400}) for at in range(20)]
    return await LedgerClient(house.channel(Role.RESOURCES)).append_many([PlanEvent(name, each) for each in events])


async def _see_events(house: Embedded, name: str) -> list[bool]:
    try:
        seen = [event.event_id async for page in house.theory.ledger.events(name) for event in page.events]
    except NotFound:
        seen = []
    return [f"{name}/{at}" in seen for at in range(20)]


async def _put_values(house: Embedded, name: str) -> Sequence[object]:
    items = [KVPut(str(at), body) for at, body in enumerate(_bodies(name))]
    return await house.theory.kv.put_many(name, items)


async def _see_values(house: Embedded, name: str) -> list[bool]:
    return [each is not None for each in await house.theory.kv.get_many(name, [str(at) for at in range(6)])]


async def _publish_messages(house: Embedded, name: str) -> Sequence[object]:
    items = [QueuePublish(body, f"{name}-{at}") for at, body in enumerate(_bodies(name))]
    return await house.theory.queue.publish_many(name, "work", items)


async def _see_messages(house: Embedded, name: str) -> list[bool]:
    there = sum(each.visible for each in await house.theory.queue.stats(name))
    return [True] * there + [False] * (6 - there)


async def _append_chunks(house: Embedded, name: str) -> Sequence[object]:
    return [await house.theory.streams.append_many("w", f"/streams/{name}", _bodies(name), expected_idx=0)]


async def _see_chunks(house: Embedded, name: str) -> list[bool]:
    try:
        return [(await house.theory.streams.status("w", f"/streams/{name}")).chunk_count == 6]
    except NotFound:
        return [False]


async def _publish_specs(house: Embedded, name: str) -> Sequence[object]:
    return await house.theory.registry.publish_many([tool(f"{name}/s{at}@1", name="n" * 100) for at in range(8)])


async def _see_specs(house: Embedded, name: str) -> list[bool]:
    names = [(SpecKind.TOOLS, Ref.parse(f"{name}/s{at}@1")) for at in range(8)]
    return [not isinstance(each, TheoryError) for each in await house.theory.registry.get_many(names)]


WRITES = {
    "blobs": Write(_put_blobs, _see_blobs),
    "upload": Write(_upload, _see_large, step=128 * 1024),
    "http": Write(_upload_by_http, _see_large, step=128 * 1024),
    "paths": Write(_put_artifacts, _see_paths),
    "bindings": Write(_bind, _see_paths),
    "events": Write(_append_events, _see_events),
    "keys": Write(_put_values, _see_values),
    "messages": Write(_publish_messages, _see_messages),
    "chunks": Write(_append_chunks, _see_chunks),
    "specs": Write(_publish_specs, _see_specs),
}


async def _answers(write: Write, house: Embedded, name: str) -> Sequence[object]:
    try:
        return await write.ask(house, name)
    except TheoryError as error:
        return [error]


def _empty_logs(home: Path) -> None:
    """Give back the room that databases keep for their next writes."""
    for each in home.rglob("*.db"):
        with closing(sqlite3.connect(each)) as one:
            one.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.mark.parametrize("kind", WRITES)
async def test_a_write_is_whole_or_nothing_however_much_room_there_is(house: Embedded, kind: str) -> None:
    write, refused = WRITES[kind], 0
    for pages in count():
        name = f"{kind}-{pages}"
        _empty_logs(house.home)
        with ballast(house.home, free=pages * write.step):
            answers = await _answers(write, house, name)
            told = [each for each in answers if isinstance(each, TheoryError)]
            assert {(type(each), each.reason) for each in told} <= {(Exhausted, "DISK_FULL")}
            there = await write.see(house, name)
            assert await house.theory.artifacts.get_blob(Cid.of(KEPT)) == KEPT
        if len(answers) == len(there):
            assert there == [not isinstance(each, TheoryError) for each in answers]
        else:
            assert not any(there), "refused as a whole"
        if not told:
            break
        refused += 1
        again = await _answers(write, house, name)
        assert not [each for each in again if isinstance(each, TheoryError)]
        assert all(await write.see(house, name))
    assert refused > 0
