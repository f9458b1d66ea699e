"""The client of artifacts, against a store in memory."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from services.artifacts.assembly import assemble
from services.artifacts.config import ArtifactsConfig
from services.artifacts.domain.artifacts import Artifacts
from theory.core.adapters import ArtifactStore
from theory.core.artifact import Artifact, Output
from theory.core.binding import Abortion, Commitment, Preparation
from theory.core.cid import Cid
from theory.core.errors import AlreadyExists, Conflict, Corrupt, Invalid, NotFound, TheoryError, Unsupported
from theory.core.ids import ExecutionId, PlanId
from theory.core.world_path import PathPrefix, WorldName, WorldPath
from theory.sdk.artifacts import ArtifactPut, ArtifactsClient
from theory.wire.identity import Role
from theory.wire.server import running

W, V = WorldName("w"), WorldName("v")
PLAN = PlanId("p-1")
LARGE = bytes(range(256)) * 5_000


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[ArtifactsClient]:
    config = ArtifactsConfig.load({"home": tmp_path, "blobs_url": "memory:", "database_url": "memory:"})
    async with running([await assemble(config)]) as server:
        yield ArtifactsClient(server.channel(Role.EXECUTOR))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Which batches reached the service, and of how many items."""
    seen: list[tuple[str, int]] = []
    for name in ("put_many", "stat_many", "prepare_many", "commit_many", "abort_many"):
        _count(monkeypatch, name, seen)
    return seen


def _count(monkeypatch: pytest.MonkeyPatch, name: str, seen: list[tuple[str, int]]) -> None:
    method = getattr(Artifacts, name)

    async def counted(self: Artifacts, *args: object) -> object:
        items = args[-1]
        assert isinstance(items, list)
        seen.append((name, len(items)))
        return await method(self, *args)

    monkeypatch.setattr(Artifacts, name, counted)


def output(path: str) -> Output:
    return Output(WorldPath(path), Cid.of(b"one"), 3)


def preparation(name: str, path: str) -> Preparation:
    return Preparation(W, PLAN, ExecutionId(name), 1, (output(path),))


def commitment(name: str, path: str) -> Commitment:
    return Commitment(W, PLAN, ExecutionId(name), 1, "b3:receipt", (output(path),))


async def test_the_client_of_a_world_is_an_artifact_store(client: ArtifactsClient) -> None:
    store: ArtifactStore = client.world(W, plan_id=PLAN)
    assert (
        await store.put_bytes(world_path="/artifacts/a", data=b"one", content_type="text/plain") == Cid.of(b"one").text
    )
    assert await store.get_bytes(world_path="/artifacts/a") == b"one"
    assert await store.compute_cid(data=b"one") == Cid.of(b"one").text
    url = await store.presign(world_path="/artifacts/a")
    assert url.startswith("http://127.0.0.1:")
    assert Cid.of(b"one").text in url
    with pytest.raises(Invalid):
        await store.get_bytes(world_path="/artifacts/../a")


async def test_a_store_without_a_data_plane_hands_out_no_urls_and_takes_large_blobs(tmp_path: Path) -> None:
    config = ArtifactsConfig.load(
        {"home": tmp_path, "blobs_url": "memory:", "database_url": "memory:", "data_url": "off"}
    )
    async with running([await assemble(config)]) as server:
        client = ArtifactsClient(server.channel())
        assert (await client.capabilities()).data_plane is None
        with pytest.raises(Unsupported) as refused:
            await client.world(W).presign(world_path="/artifacts/a")
        assert (refused.value.reason, refused.value.metadata) == ("CAPABILITY_MISSING", {"capability": "data_plane"})
        assert await client.get_blob(await client.put_blob(LARGE)) == LARGE


async def test_bytes_of_any_size_are_written_and_read(client: ArtifactsClient) -> None:
    for path, data in (("/artifacts/empty", b""), ("/artifacts/large", LARGE)):
        put = await client.put_bytes(W, WorldPath(path), data, "text/plain")
        assert (put.cid, put.size_bytes, put.content_type) == (Cid.of(data), len(data), "text/plain")
        assert await client.get_bytes(W, WorldPath(path)) == data


async def test_writes_of_one_turn_share_an_rpc_per_world_and_plan(
    client: ArtifactsClient, calls: list[tuple[str, int]]
) -> None:
    await asyncio.gather(
        *(client.put_bytes(W, WorldPath(f"/artifacts/{n}"), b"") for n in range(20)),
        *(client.put_bytes(V, WorldPath(f"/artifacts/{n}"), b"") for n in range(3)),
        *(client.put_bytes(V, WorldPath(f"/artifacts/{n}"), b"", plan_id=PLAN) for n in range(3, 5)),
    )
    assert sorted(calls) == [("put_many", 2), ("put_many", 3), ("put_many", 20)]


async def test_a_write_that_is_refused_fails_alone(client: ArtifactsClient) -> None:
    await client.put_bytes(W, WorldPath("/artifacts/a"), b"one")
    ended = await asyncio.gather(
        client.put_bytes(W, WorldPath("/artifacts/a"), b"two"),
        client.put(W, ArtifactPut(WorldPath("/artifacts/b"), b"", "no type")),
        client.put(W, ArtifactPut(WorldPath("/artifacts/c"), Cid.of(b"none"))),
        client.put_bytes(W, WorldPath("/artifacts/d"), b""),
        return_exceptions=True,
    )
    assert [type(each) for each in ended] == [AlreadyExists, Invalid, NotFound, Artifact]


async def test_stored_blobs_are_bound(client: ArtifactsClient) -> None:
    await client.put_blob(b"one")
    bound, refused = await client.bind_many(W, [output("/artifacts/a"), output("/artifacts/a/b")], plan_id=PLAN)
    assert isinstance(bound, Artifact)
    assert isinstance(refused, AlreadyExists)


async def test_looks_of_one_turn_share_an_rpc(client: ArtifactsClient, calls: list[tuple[str, int]]) -> None:
    put = await client.put_bytes(W, WorldPath("/artifacts/a"), b"one")
    assert await asyncio.gather(*(client.stat(W, put.path) for _ in range(5))) == [put] * 5
    assert calls[1:] == [("stat_many", 5)]
    with pytest.raises(NotFound):
        await client.stat(W, WorldPath("/artifacts/none"))


async def test_many_artifacts_are_read_in_as_many_replies_as_it_takes(client: ArtifactsClient) -> None:
    paths = [WorldPath(f"/artifacts/{n}") for n in range(8)]
    blobs = [bytes([n]) * (1 << 20) for n in range(8)]
    await asyncio.gather(*(client.put_bytes(W, path, data) for path, data in zip(paths, blobs, strict=True)))
    answers = await client.read_many(W, [*paths, WorldPath("/artifacts/none")])
    assert [answer[1] for answer in answers if isinstance(answer, tuple)] == blobs
    assert isinstance(answers[-1], NotFound)


async def test_a_listing_goes_through_all_pages(client: ArtifactsClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("theory.sdk.artifacts.PAGE_ITEMS", 3)
    await client.put_many(W, [ArtifactPut(WorldPath(f"/artifacts/x/{n}"), b"") for n in range(7)])
    await client.put_bytes(W, WorldPath("/artifacts/y"), b"")
    assert [each.path.text async for each in client.list(W)] == [
        *(f"/artifacts/x/{n}" for n in range(7)),
        "/artifacts/y",
    ]
    assert len([each async for each in client.list(W, PathPrefix.parse("/artifacts/x/"))]) == 7
    assert [each async for each in client.list(V)] == []


async def test_attempts_of_one_turn_share_their_rpcs(client: ArtifactsClient, calls: list[tuple[str, int]]) -> None:
    await client.put_blob(b"one")
    names = [f"x{n}" for n in range(32)]
    await asyncio.gather(*(client.prepare(preparation(name, f"/artifacts/{name}")) for name in names))
    await asyncio.gather(*(client.commit(commitment(name, f"/artifacts/{name}")) for name in names))
    await asyncio.gather(*(client.abort(Abortion(ExecutionId(name), 1)) for name in names))
    assert calls == [("prepare_many", 32), ("commit_many", 32), ("abort_many", 32)]
    assert len([each async for each in client.list(W)]) == 32


async def test_an_attempt_that_is_refused_fails_alone(client: ArtifactsClient) -> None:
    await client.put_blob(b"one")
    ended = await asyncio.gather(
        client.prepare(preparation("x", "/artifacts/a")),
        client.prepare(preparation("y", "/artifacts/a")),
        client.prepare(preparation("z", "/artifacts/b")),
        return_exceptions=True,
    )
    assert [type(each) for each in ended] == [type(None), Conflict, type(None)]


async def test_more_attempts_than_a_call_takes_are_cut(client: ArtifactsClient, calls: list[tuple[str, int]]) -> None:
    await client.put_blob(b"one")
    items = [preparation(f"x{n}", f"/artifacts/{n}") for n in range(101)]
    assert await client.prepare_many(items) == [None] * 101
    assert calls == [("prepare_many", 100), ("prepare_many", 1)]


async def test_a_service_that_sends_other_bytes_is_not_believed(
    client: ArtifactsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = await client.put_bytes(W, WorldPath("/artifacts/a"), b"one")

    async def lie(_self: Artifacts, _world: WorldName, paths: Sequence[WorldPath]) -> list[object]:
        return [(put, b"other")] * len(paths)

    monkeypatch.setattr(Artifacts, "read_many", lie)
    with pytest.raises(Corrupt):
        await client.get_bytes(W, put.path)


async def test_only_errors_of_ours_come_out(tmp_path: Path) -> None:
    config = ArtifactsConfig.load({"home": tmp_path, "blobs_url": "memory:", "database_url": "memory:"})
    async with running([await assemble(config)]) as server:
        client = ArtifactsClient(server.channel(Role.CLIENT))
        with pytest.raises(TheoryError):
            await client.prepare(preparation("x", "/artifacts/a"))
