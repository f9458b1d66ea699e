"""Which adapters keep the paths: the one table that chooses among them."""

from collections.abc import Mapping
from typing import cast

from services.artifacts.ports import BindingAdapter
from services.drivers.choice import module_for
from theory.core.clock import Clock

MODULE_BY_SCHEME: Mapping[str, str] = {
    "memory": "services.artifacts.adapters.bindings.memory",
    "sqlite": "services.artifacts.adapters.bindings.sql",
}


async def open_bindings(url: str, clock: Clock) -> BindingAdapter:
    """The table of paths that `url` names, ready to use; `Invalid` (`ADAPTER_UNKNOWN`) for an unknown scheme."""
    return cast("BindingAdapter", await module_for(url, MODULE_BY_SCHEME).open(url, clock))
