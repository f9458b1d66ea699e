"""What goes, in the words of the wire: every figure in its place."""

from datetime import UTC, datetime

from services.artifacts.ports import DroppedWorld, StoredBlob
from services.artifacts.retention import codec
from services.artifacts.retention.domain.collector import Collected
from services.artifacts.retention.domain.scrubber import Scrubbed
from theory.core.cid import Cid

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_part_of_a_collection_keeps_every_figure() -> None:
    found = codec.collected_to_proto(Collected(1, 2, 3, 4, 5, 6), "token")
    assert (found.seen_count, found.seen_bytes, found.marked_count, found.marked_bytes) == (1, 2, 3, 4)
    assert (found.deleted_count, found.deleted_bytes, found.next_page_token) == (5, 6, "token")


def test_a_world_that_is_gone_keeps_its_time() -> None:
    found = codec.dropped_to_proto(DroppedWorld("w", MOMENT, 7, done=True))
    assert (found.world, found.path_count, found.drop_time.ToDatetime(UTC)) == ("w", 7, MOMENT)


def test_damage_is_told_with_the_length_that_was_found() -> None:
    cid = Cid.of(b"")
    found = codec.scrubbed_to_proto(Scrubbed(3, 99, (StoredBlob(cid, 7, MOMENT),), None), "")
    assert (found.scrubbed_count, found.scrubbed_bytes, found.next_page_token) == (3, 99, "")
    assert [(each.cid, each.size_bytes) for each in found.damaged_blobs] == [(cid.text, 7)]
