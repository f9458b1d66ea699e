"""What goes, in the words of the wire."""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration

from services.artifacts.ports import DroppedWorld
from services.artifacts.retention.domain.collector import Collected, Collector
from services.artifacts.retention.domain.scrubber import Scrubbed, Scrubber
from theory.api.artifacts.v1 import retention_pb2 as pb
from theory.wire.moments import timestamp


def capabilities_to_proto(collector: Collector, scrubber: Scrubber) -> pb.RetentionServiceGetCapabilitiesResponse:
    """The ages and periods of this store."""
    return pb.RetentionServiceGetCapabilitiesResponse(
        collection_age=_duration(collector.times.age),
        lease=_duration(collector.times.lease),
        collection_period=_duration(collector.times.period),
        scrub_period=_duration(scrubber.period),
        scrub_bytes_per_s=scrubber.bytes_per_s,
    )


def collected_to_proto(part: Collected, next_page_token: str) -> pb.CollectGarbageResponse:
    """A part of a collection."""
    return pb.CollectGarbageResponse(
        seen_count=part.seen,
        seen_bytes=part.seen_bytes,
        marked_count=part.marked,
        marked_bytes=part.marked_bytes,
        deleted_count=part.deleted,
        deleted_bytes=part.deleted_bytes,
        next_page_token=next_page_token,
    )


def dropped_to_proto(dropped: DroppedWorld) -> pb.DropWorldResponse:
    """A world that is gone."""
    return pb.DropWorldResponse(world=dropped.world, path_count=dropped.paths, drop_time=timestamp(dropped.time))


def scrubbed_to_proto(part: Scrubbed, next_page_token: str) -> pb.ScrubBlobsResponse:
    """A part of the store that was looked at."""
    return pb.ScrubBlobsResponse(
        scrubbed_count=part.count,
        scrubbed_bytes=part.size_bytes,
        damaged_blobs=[pb.DamagedBlob(cid=each.cid.text, size_bytes=each.size_bytes) for each in part.damaged],
        next_page_token=next_page_token,
    )


def _duration(length: timedelta) -> Duration:
    duration = Duration()
    duration.FromTimedelta(length)
    return duration
