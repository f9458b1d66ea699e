"""Where volumes may lie, and the one table that chooses."""

from collections.abc import Mapping
from typing import cast

from services.drivers.choice import module_for
from services.drivers.opening import Opening
from services.resources.volumes.ports import VolumeStore

MODULE_BY_SCHEME: Mapping[str, str] = {
    "file": "services.resources.volumes.adapters.directory",
    "modal": "services.resources.volumes.adapters.modal",
}


async def open_store(url: str, opening: Opening) -> VolumeStore:
    """The store that `url` names, ready to use; `Invalid` (`ADAPTER_UNKNOWN`) where the table has no such scheme."""
    return cast("VolumeStore", await module_for(url, MODULE_BY_SCHEME).open(url, opening))
