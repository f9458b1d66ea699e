"""Which adapters keep the bytes: the one table that chooses among them."""

from collections.abc import Mapping
from importlib import import_module
from typing import cast

from services.artifacts.ports import BlobAdapter
from theory.core.errors import Invalid

# Modules are named, not imported: an adapter's library loads only where it is used.
MODULE_BY_SCHEME: Mapping[str, str] = {
    "memory": "services.artifacts.adapters.blobs.memory",
    "file": "services.artifacts.adapters.blobs.filesystem",
}


async def open_blobs(url: str) -> BlobAdapter:
    """The store of bytes that `url` names, ready to use; `Invalid` (`ADAPTER_UNKNOWN`) for an unknown scheme."""
    scheme, _, _ = url.partition(":")
    if scheme not in MODULE_BY_SCHEME:
        known = ", ".join(sorted(MODULE_BY_SCHEME))
        raise Invalid("ADAPTER_UNKNOWN", f"no adapter has the scheme of this URL: known are {known}", scheme=scheme)
    return cast("BlobAdapter", await import_module(MODULE_BY_SCHEME[scheme]).open(url))
