"""The limits that the artifact store states in its capabilities and in its contract."""

from dataclasses import dataclass

from services.artifacts.ports import Presigner

MAX_BATCH_ITEMS = 1_000
MAX_ATTEMPTS = 100
"""The most items of one prepare, commit or abort."""
MAX_OUTPUTS = 10_000
"""The most outputs of one attempt."""
MAX_INPUTS = 10_000
"""The most inputs of one attempt."""
MAX_INLINE_BYTES = 1024 * 1024
"""The largest blob that travels inside of a batch."""
MAX_BATCH_BYTES = 6 * 1024 * 1024
"""The most bytes of blobs that one request or one answer carries."""
CHUNK_BYTES = 512 * 1024
"""What a download reads and sends at a time."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this store says of itself, beside the limits above."""

    adapter: str
    """The kind of the adapter that keeps the bytes."""
    durable: bool
    """Whether bytes and paths that were acknowledged survive a crash of the machine."""
    max_blob_bytes: int
    presigner: Presigner | None = None
    """What makes requests to a data plane, where there is one."""
