"""The executor's databases by URL scheme. Adding one is a module here and a line below."""

from collections.abc import Mapping
from importlib import import_module
from typing import cast
from urllib.parse import urlsplit

from services.executor.ports import ExecutorState
from theory.core.errors import Invalid

# Modules are named, not imported: an adapter's library loads only where it is used.
MODULE_BY_SCHEME: Mapping[str, str] = {
    "memory": "services.executor.adapters.state.sql",
    "sqlite": "services.executor.adapters.state.sql",
}


async def open_state(url: str) -> ExecutorState:
    """The state that `url` names, ready to use; `Invalid` (`ADAPTER_UNKNOWN`) for another scheme."""
    scheme = urlsplit(url).scheme
    if scheme not in MODULE_BY_SCHEME:
        known = ", ".join(sorted(MODULE_BY_SCHEME))
        raise Invalid("ADAPTER_UNKNOWN", f"no adapter has the scheme of this URL: known are {known}", scheme=scheme)
    return cast("ExecutorState", await import_module(MODULE_BY_SCHEME[scheme]).open(url))
