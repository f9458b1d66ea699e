"""Which adapters keep the bytes: the one table that chooses among them."""

from collections.abc import Mapping
from typing import cast

from services.artifacts.ports import BlobAdapter
from services.drivers.choice import module_for

MODULE_BY_SCHEME: Mapping[str, str] = {
    "memory": "services.artifacts.adapters.blobs.memory",
    "file": "services.artifacts.adapters.blobs.filesystem",
    "s3": "services.artifacts.adapters.blobs.s3",
}


async def open_blobs(url: str) -> BlobAdapter:
    """The store of bytes that `url` names, ready to use; `Invalid` (`ADAPTER_UNKNOWN`) for an unknown scheme."""
    return cast("BlobAdapter", await module_for(url, MODULE_BY_SCHEME).open(url))
