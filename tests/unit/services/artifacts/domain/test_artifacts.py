"""Paths and bytes as one thing."""

from collections.abc import Collection, Mapping

import pytest

from services.artifacts.adapters.bindings.memory import MemoryBindings
from services.artifacts.adapters.blobs.memory import MemoryBlobs
from services.artifacts.domain.artifacts import Artifacts, NewArtifact
from services.artifacts.domain.bindings import Written
from services.artifacts.domain.store import BlobStore, NewBlob
from tests.leases import leases_of
from theory.core.artifact import Artifact, Output
from theory.core.binding import Preparation
from theory.core.cid import Cid
from theory.core.clock import FakeClock
from theory.core.errors import TheoryError
from theory.core.ids import ExecutionId, PlanId
from theory.core.world_path import PathPrefix, WorldName, WorldPath

W = WorldName("w")
ONE = Cid.of(b"one")


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
def artifacts(blobs: MemoryBlobs) -> Artifacts:
    return artifacts_of(blobs, FakeClock())


def artifacts_of(blobs: MemoryBlobs, clock: FakeClock) -> Artifacts:
    table = MemoryBindings(clock)
    leases = leases_of(blobs, table, clock)
    return Artifacts(BlobStore(blobs, leases, max_blob_bytes=1 << 20), blobs, leases, table, clock)


def new(path: str, source: bytes | Cid) -> NewArtifact:
    return NewArtifact(WorldPath.parse(path), source if isinstance(source, Cid) else NewBlob(source), "text/plain")


def reasons(answers: list[Written | TheoryError] | list[Artifact | TheoryError]) -> list[str]:
    return [each.reason if isinstance(each, TheoryError) else "" for each in answers]


async def test_bytes_and_stored_blobs_are_bound_alike(artifacts: Artifacts) -> None:
    answers = await artifacts.put_many(W, None, [new("/artifacts/a", b"one"), new("/artifacts/b", ONE)])
    assert [each.artifact.cid for each in answers if isinstance(each, Written)] == [ONE, ONE]


async def test_a_blob_that_is_refused_fails_its_own_path_alone(artifacts: Artifacts) -> None:
    wrong = NewArtifact(WorldPath("/artifacts/b"), NewBlob(b"two", ONE), "text/plain")
    items = [new("/artifacts/a", b"one"), wrong, new("/artifacts/c", Cid.of(b"nowhere")), new("/artifacts/d", b"d")]
    assert reasons(await artifacts.put_many(W, None, items)) == ["", "CID_MISMATCH", "BLOB_UNKNOWN", ""]


async def test_a_path_that_is_only_reserved_is_not_there(artifacts: Artifacts, blobs: MemoryBlobs) -> None:
    blobs.data_by_cid[ONE] = b"one"
    output = Output(WorldPath("/artifacts/a"), ONE, 3)
    assert await artifacts.prepare_many([Preparation(W, PlanId("p"), ExecutionId("x"), 1, (output,))]) == [None]
    assert reasons(await artifacts.stat_many(W, [output.path])) == ["ARTIFACT_UNKNOWN"]
    assert await artifacts.page(W, None, after="", limit=10) == []


class FarBlobs(MemoryBlobs):
    """A store that has to be asked: it tells sizes of what was recalled, and nothing of the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.recalled: set[Cid] = set()

    async def recall(self, cids: Collection[Cid]) -> None:
        self.recalled.update(cids)

    def sizes(self, cids: Collection[Cid]) -> Mapping[Cid, int]:
        return super().sizes([cid for cid in cids if cid in self.recalled])


async def test_a_store_that_has_to_be_asked_is_asked_before_paths_are_bound_or_reserved() -> None:
    blobs, clock = FarBlobs(), FakeClock()
    artifacts = artifacts_of(blobs, clock)
    blobs.data_by_cid[ONE] = b"one"
    output = Output(WorldPath("/artifacts/a"), ONE, 3)
    assert await artifacts.prepare_many([Preparation(W, PlanId("p"), ExecutionId("x"), 1, (output,))]) == [None]
    blobs.recalled.clear()
    assert reasons(await artifacts.put_many(W, None, [new("/artifacts/b", ONE), new("/artifacts/c", b"c")])) == ["", ""]


async def test_reading_gives_the_artifact_with_its_bytes(artifacts: Artifacts) -> None:
    await artifacts.put_many(W, None, [new("/artifacts/a", b"one")])
    read, missing = await artifacts.read_many(W, [WorldPath("/artifacts/a"), WorldPath("/artifacts/b")])
    assert isinstance(read, tuple)
    assert (read[0].cid, read[1]) == (ONE, b"one")
    assert isinstance(missing, TheoryError)


async def test_a_page_lists_what_is_below_a_folder_in_order(artifacts: Artifacts) -> None:
    paths = ["/artifacts/x/b", "/artifacts/x/a", "/artifacts/xy", "/artifacts/x/é", "/artifacts/x/a.b", "/artifacts/w"]
    await artifacts.put_many(W, None, [new(path, b"") for path in paths])
    listed = await artifacts.page(W, PathPrefix.parse("/artifacts/x/"), after="", limit=10)
    assert [each.path.text for each in listed] == [
        "/artifacts/x/a",
        "/artifacts/x/a.b",
        "/artifacts/x/b",
        "/artifacts/x/é",
    ]
    rest = await artifacts.page(W, PathPrefix.parse("/artifacts/x/"), after="/artifacts/x/a.b", limit=1)
    assert [each.path.text for each in rest] == ["/artifacts/x/b"]
