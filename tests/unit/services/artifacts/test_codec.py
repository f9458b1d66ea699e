"""What the wire may carry, and what is refused before any rule sees it."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from services.artifacts import codec
from services.artifacts.domain.limits import MAX_BATCH_BYTES, MAX_OUTPUTS
from services.artifacts.domain.store import NewBlob
from theory.api.artifacts.v1 import artifacts_pb2 as pb
from theory.core.artifact import DEFAULT_CONTENT_TYPE
from theory.core.cid import Cid
from theory.core.errors import Invalid, TheoryError
from theory.core.presign import ArtifactGet, BlobGet, BlobPut, PresignedRequest
from theory.core.world_path import WorldName, WorldPath

CID = Cid.of(b"one").text
OUTPUT = pb.Output(world_path="/artifacts/a", cid=CID, size_bytes=3)


def prepare(**changes: object) -> pb.PrepareBindingsRequest.Item:
    fields: dict[str, object] = {
        "world": "w",
        "plan_id": "p-1",
        "execution_id": "p-1.x",
        "epoch": 1,
        "outputs": [OUTPUT],
    }
    return pb.PrepareBindingsRequest.Item(**(fields | changes))  # type: ignore[arg-type]


def commit(**changes: object) -> pb.CommitBindingsRequest.Item:
    fields: dict[str, object] = {"world": "w", "plan_id": "p-1", "execution_id": "p-1.x", "epoch": 1, "receipt_id": "r"}
    return pb.CommitBindingsRequest.Item(**(fields | changes))  # type: ignore[arg-type]


def refused(work: Callable[[], object]) -> TheoryError:
    with pytest.raises(Invalid) as error:
        work()
    return error.value


def test_a_list_of_cids_is_good_as_a_whole_or_not_at_all() -> None:
    assert codec.cids_of([CID]) == [Cid(CID)]
    assert refused(lambda: codec.cids_of([CID, CID.upper()])).reason == "CID_INVALID"


def test_a_request_with_too_many_bytes_is_refused() -> None:
    codec.refuse_heavy([MAX_BATCH_BYTES])
    assert refused(lambda: codec.refuse_heavy([MAX_BATCH_BYTES, 1])).reason == "BATCH_SIZE"


def test_artifacts_do_not_live_among_streams() -> None:
    error = refused(lambda: codec.path_of("/streams/a"))
    assert (error.reason, error.metadata["rule"]) == ("PATH_INVALID", "facet")


def test_an_empty_prefix_is_the_whole_world() -> None:
    assert codec.prefix_of("") is None
    assert refused(lambda: codec.prefix_of("/artifacts/a")).reason == "PATH_INVALID"


def test_an_artifact_has_bytes_even_if_they_are_none() -> None:
    item = codec.new_artifact_of(pb.PutArtifactsRequest.Item(world_path="/artifacts/a", data=b""))
    assert (item.source, item.content_type) == (NewBlob(b""), DEFAULT_CONTENT_TYPE)


def test_an_artifact_without_source_is_refused() -> None:
    error = refused(lambda: codec.new_artifact_of(pb.PutArtifactsRequest.Item(world_path="/artifacts/a")))
    assert (error.reason, error.metadata) == ("FIELD_INVALID", {"field": "source"})


def test_an_upload_announces_what_it_likes() -> None:
    assert codec.upload_of(pb.UploadBlobRequest.Header()) == (None, None)
    assert codec.upload_of(pb.UploadBlobRequest.Header(expected_cid=CID, size_bytes=0)) == (Cid(CID), 0)
    assert refused(lambda: codec.upload_of(pb.UploadBlobRequest.Header(size_bytes=-1))).reason == "FIELD_INVALID"


@pytest.mark.parametrize("field", ["offset", "limit"])
def test_a_negative_range_is_refused(field: str) -> None:
    error = refused(lambda: codec.range_of(pb.DownloadBlobRequest(cid=CID, **{field: -1})))
    assert (error.reason, error.metadata) == ("RANGE_INVALID", {"field": field})


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (prepare(world="W"), "WORLD_INVALID"),
        (prepare(plan_id=""), "ID_INVALID"),
        (prepare(execution_id="x y"), "ID_INVALID"),
        (prepare(epoch=0), "FIELD_INVALID"),
        (prepare(outputs=[pb.Output(world_path="/artifacts/a", cid=CID, size_bytes=-1)]), "FIELD_INVALID"),
        (prepare(outputs=[pb.Output(world_path="/artifacts/A", cid=CID)]), "PATH_INVALID"),
        (prepare(outputs=[pb.Output(world_path="/artifacts/a", cid="b3:")]), "CID_INVALID"),
        (prepare(outputs=[OUTPUT] * (MAX_OUTPUTS + 1)), "BATCH_SIZE"),
    ],
)
def test_a_malformed_preparation_is_refused(item: pb.PrepareBindingsRequest.Item, reason: str) -> None:
    assert refused(lambda: codec.preparation_of(item)).reason == reason


def test_a_commit_names_its_receipt() -> None:
    assert codec.commitment_of(commit()).receipt_id == "r"
    assert refused(lambda: codec.commitment_of(commit(receipt_id=""))).metadata == {"field": "receipt_id"}


def test_an_abort_names_an_epoch() -> None:
    item = pb.AbortBindingsRequest.Item(execution_id="p-1.x")
    assert refused(lambda: codec.abortion_of(item)).metadata == {"field": "epoch"}


def test_an_item_of_a_presign_says_what_is_read_or_stored() -> None:
    made, get, put = pb.PresignBlobsRequest.Item, pb.PresignBlobsRequest.Get, pb.PresignBlobsRequest.Put
    bound = pb.PresignBlobsRequest.Bound(world="w", world_path="/artifacts/a")
    assert codec.presign_item_of(made(get=get(cid=CID))) == BlobGet(Cid(CID))
    assert codec.presign_item_of(made(get=get(bound=bound))) == ArtifactGet(WorldName("w"), WorldPath("/artifacts/a"))
    assert codec.presign_item_of(made(put=put(cid=CID, size_bytes=3))) == BlobPut(Cid(CID), 3, DEFAULT_CONTENT_TYPE)


def test_a_request_that_was_handed_out_has_all_of_its_parts() -> None:
    expire_time = datetime(2026, 1, 1, tzinfo=UTC)
    request = PresignedRequest("http://h/x?signature=s", "PUT", {"If-None-Match": "*"}, expire_time, 3, "id")
    found = codec.presigned_to_proto(request).request
    assert (found.url, found.method, dict(found.headers)) == (request.url, "PUT", {"If-None-Match": "*"})
    assert (found.expire_time.ToDatetime(UTC), found.size_bytes, found.upload_id) == (expire_time, 3, "id")
