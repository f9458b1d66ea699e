"""What is counted of what goes, by names that metrics have."""

from collections.abc import Callable
from typing import TypeAlias

Count: TypeAlias = Callable[[str, int], None]
"""Adds to the counter of a name."""

COLLECTED = "theory_artifacts_collected_blobs"
COLLECTED_BYTES = "theory_artifacts_collected_bytes"
SCRUBBED = "theory_artifacts_scrubbed_blobs"
SCRUBBED_BYTES = "theory_artifacts_scrubbed_bytes"
DAMAGED = "theory_artifacts_damaged_blobs"

HELP_BY_NAME = {
    COLLECTED: "Blobs that were deleted because nothing referred to them.",
    COLLECTED_BYTES: "Their bytes.",
    SCRUBBED: "Blobs that were read and hashed to look for damage.",
    SCRUBBED_BYTES: "Their bytes.",
    DAMAGED: "Blobs that no longer hashed to their CIDs and were put into quarantine.",
}
