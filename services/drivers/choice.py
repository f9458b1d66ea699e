"""The choice among adapters: the module that a table names for the scheme of an address."""

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType

from theory.core.errors import Invalid


def module_for(url: str, module_by_scheme: Mapping[str, str]) -> ModuleType:
    """The module that the table names for the scheme of `url`, loaded now; `Invalid` (`ADAPTER_UNKNOWN`) for none.

    Tables name modules instead of importing them: what a product needs loads only where it is used.
    """
    scheme, colon, _ = url.partition(":")
    if not colon or scheme not in module_by_scheme:
        known = ", ".join(sorted(module_by_scheme))
        raise Invalid("ADAPTER_UNKNOWN", f"no adapter has the scheme of this URL: known are {known}", scheme=scheme)
    return import_module(module_by_scheme[scheme])
