"""What is promised of sizes fits into what the wire carries."""

from datetime import UTC, datetime

from services.artifacts import codec
from services.artifacts.domain.limits import CHUNK_BYTES, MAX_BATCH_BYTES, MAX_BATCH_ITEMS
from theory.api.artifacts.v1 import artifacts_pb2 as pb
from theory.core.artifact import Artifact
from theory.core.cid import Cid
from theory.core.world_path import MAX_PATH_BYTES, WorldName, WorldPath
from theory.wire import chunks
from theory.wire.options import MESSAGE_BYTES


def test_the_fullest_reply_fits_into_a_message() -> None:
    longest = WorldPath.parse("/artifacts/" + "/".join(["a" * 252] * 4) + "bb")
    assert len(longest.text) == MAX_PATH_BYTES
    artifact = Artifact(
        WorldName("w" * 128), longest, Cid.of(b""), 1, "a/" + "b" * 64, datetime(2026, 1, 1, tzinfo=UTC)
    )
    share = bytes(MAX_BATCH_BYTES // MAX_BATCH_ITEMS)
    results = [codec.read_to_proto((artifact, share))] * MAX_BATCH_ITEMS
    assert pb.ReadArtifactsResponse(results=results).ByteSize() < MESSAGE_BYTES


def test_a_download_sends_chunks_of_the_size_that_the_wire_takes() -> None:
    assert CHUNK_BYTES == chunks.CHUNK_BYTES
