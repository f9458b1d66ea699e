"""Where secrets may lie, and the one table that chooses."""

from collections.abc import Mapping
from importlib import import_module
from typing import cast

from services.resources.secrets.ports import SecretSource
from theory.core.errors import Invalid

# Modules are named, not imported: what a product needs loads only where it is used.
MODULE_BY_SCHEME: Mapping[str, str] = {
    "dotenv": "services.resources.secrets.adapters.dotenv",
    "env": "services.resources.secrets.adapters.env",
}


async def open_source(url: str) -> SecretSource:
    """The source that `url` names, ready to use; `Invalid` (`ADAPTER_UNKNOWN`) where the table has no such scheme."""
    scheme, _, _ = url.partition(":")
    if scheme not in MODULE_BY_SCHEME:
        known = ", ".join(sorted(MODULE_BY_SCHEME))
        raise Invalid("ADAPTER_UNKNOWN", f"no adapter has the scheme of this URL: known are {known}", scheme=scheme)
    return cast("SecretSource", await import_module(MODULE_BY_SCHEME[scheme]).open(url))
