"""Which adapters keep the paths: the one table that chooses among them."""

from collections.abc import Mapping
from importlib import import_module
from typing import cast

from services.artifacts.ports import BindingAdapter
from theory.core.clock import Clock
from theory.core.errors import Invalid

# Modules are named, not imported: an adapter's library loads only where it is used.
MODULE_BY_SCHEME: Mapping[str, str] = {
    "memory": "services.artifacts.adapters.bindings.memory",
    "sqlite": "services.artifacts.adapters.bindings.sql",
}


async def open_bindings(url: str, clock: Clock) -> BindingAdapter:
    """The table of paths that `url` names, ready to use; `Invalid` (`ADAPTER_UNKNOWN`) for an unknown scheme."""
    scheme, _, _ = url.partition(":")
    if scheme not in MODULE_BY_SCHEME:
        known = ", ".join(sorted(MODULE_BY_SCHEME))
        raise Invalid("ADAPTER_UNKNOWN", f"no adapter has the scheme of this URL: known are {known}", scheme=scheme)
    return cast("BindingAdapter", await import_module(MODULE_BY_SCHEME[scheme]).open(url, clock))
