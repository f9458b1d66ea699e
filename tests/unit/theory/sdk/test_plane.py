"""The client of the data plane, against a store in memory."""

import hashlib
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.artifacts.assembly import assemble
from services.artifacts.config import ArtifactsConfig
from services.artifacts.plane.presigner import LocalPresigner
from theory.api.artifacts.v1 import artifacts_pb2 as pb
from theory.core.cid import Cid
from theory.core.clock import FakeClock
from theory.core.errors import Denied, Invalid, NotFound, TheoryError
from theory.core.presign import ArtifactGet, BlobGet, BlobPut, PresignedRequest
from theory.core.world_path import WorldName, WorldPath
from theory.sdk.artifacts import ArtifactPut, ArtifactsClient
from theory.sdk.plane import DataPlane, PlaneClient, data_plane_of
from theory.wire.server import RunningServer, running

DATA = bytes(range(256)) * 5_000
W, PATH = WorldName("w"), WorldPath("/artifacts/a")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def server(tmp_path: Path, clock: FakeClock) -> AsyncIterator[RunningServer]:
    config = ArtifactsConfig.load({"home": tmp_path, "blobs_url": "memory:", "database_url": "memory:"})
    async with running([await assemble(config, clock=clock)]) as server:
        yield server


@pytest.fixture
def plane(server: RunningServer, clock: FakeClock) -> PlaneClient:
    return PlaneClient(server.channel(), clock)


def put_of(data: bytes) -> BlobPut:
    return BlobPut(Cid.of(data), len(data))


async def test_bytes_go_up_and_come_down(plane: PlaneClient) -> None:
    told: list[tuple[int, int]] = []
    file = io.BytesIO(b"skipped" + DATA)
    file.seek(7)
    assert await plane.upload(put_of(DATA), file, lambda done, total: told.append((done, total)))
    into = io.BytesIO()
    assert await plane.download(Cid.of(DATA), into, None) == len(DATA)
    assert into.getvalue() == DATA
    assert told[-1] == (len(DATA), len(DATA))


async def test_a_file_that_is_not_what_was_announced_is_refused(plane: PlaneClient) -> None:
    with pytest.raises(Invalid) as refused:
        await plane.upload(put_of(DATA), io.BytesIO(DATA[::-1]), None)
    assert refused.value.reason == "CID_MISMATCH"


async def test_an_unknown_blob_is_not_found(plane: PlaneClient) -> None:
    with pytest.raises(NotFound) as refused:
        await plane.download(Cid.of(b"none"), io.BytesIO(), None)
    assert refused.value.reason == "BLOB_UNKNOWN"


async def test_more_than_one_batch_is_asked_for_in_order(plane: PlaneClient, server: RunningServer) -> None:
    await ArtifactsClient(server.channel()).put(W, ArtifactPut(PATH, b"one", "text/plain"))
    items = [put_of(b"%d" % number) for number in range(150)]
    answers = await plane.presign_many([ArtifactGet(W, PATH), *items, BlobGet(Cid.of(b"none"))], ttl_s=60)
    requests = [each for each in answers if isinstance(each, PresignedRequest)]
    assert [each.method for each in requests] == ["GET", *["PUT"] * 150]
    assert isinstance(answers[-1], NotFound)
    ended = await plane.commit_many([each.upload_id for each in requests[1:]])
    assert {each.reason for each in ended if isinstance(each, TheoryError)} == {"UPLOAD_UNKNOWN"}
    assert len(ended) == 150


async def test_a_request_that_expired_is_asked_for_again(
    plane: PlaneClient, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, used = LocalPresigner.check_put, []

    def late(self: LocalPresigner, *args: object) -> object:
        used.append(args)
        if len(used) == 1:
            clock.advance(901)
            raise Denied("URL_EXPIRED", "too late")
        return real(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(LocalPresigner, "check_put", late)
    assert await plane.upload(put_of(DATA), io.BytesIO(DATA), None)
    assert len(used) == 2


async def test_a_store_that_needs_a_checksum_gets_one(
    plane: PlaneClient, monkeypatch: pytest.MonkeyPatch, server: RunningServer
) -> None:
    monkeypatch.setattr(LocalPresigner, "sha256_required", True)
    (refused,) = await plane.presign_many([put_of(DATA)])
    assert isinstance(refused, Invalid)
    assert refused.metadata == {"field": "sha256"}
    monkeypatch.setattr(plane, "_offered", DataPlane(resumable=True, sha256_required=True))
    monkeypatch.setattr(plane, "_asked", True)
    assert await plane.upload(put_of(DATA), io.BytesIO(DATA), None)
    (request,) = await plane.presign_many([BlobPut(Cid.of(b""), 0, sha256=hashlib.sha256(b"").hexdigest())])
    assert isinstance(request, PresignedRequest)
    assert request.headers["Repr-Digest"] == "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"


async def test_after_a_try_in_vain_bytes_take_the_other_way_for_a_minute(tmp_path: Path, clock: FakeClock) -> None:
    config = ArtifactsConfig.load(
        {
            "home": tmp_path,
            "blobs_url": "memory:",
            "database_url": "memory:",
            "data_public_url": "http://127.0.0.1:1",
        }
    )
    async with running([await assemble(config, clock=clock)]) as server:
        plane = PlaneClient(server.channel(), clock)
        file = io.BytesIO(DATA)
        for _ in range(2):
            assert not await plane.upload(put_of(DATA), file, None)
            assert file.tell() == 0
        client = ArtifactsClient(server.channel())
        assert await client.get_blob(await client.put_blob(DATA)) == DATA


def test_a_service_that_names_no_data_plane_has_none() -> None:
    assert data_plane_of(pb.GetCapabilitiesResponse()) is None
    named = pb.GetCapabilitiesResponse(data_plane=pb.GetCapabilitiesResponse.DataPlane(resumable=True))
    assert data_plane_of(named) == DataPlane(resumable=True, sha256_required=False)
    named.data_plane.max_upload_bytes = 5
    assert data_plane_of(named) == DataPlane(resumable=True, sha256_required=False, max_upload_bytes=5)


async def test_what_is_too_large_for_one_request_takes_the_other_way(
    plane: PlaneClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plane, "_asked", True)
    for most, went in ((len(DATA) - 1, False), (len(DATA), True)):
        offered = DataPlane(resumable=True, sha256_required=False, max_upload_bytes=most)
        monkeypatch.setattr(plane, "_offered", offered)
        assert await plane.upload(put_of(DATA), io.BytesIO(DATA), None) is went
