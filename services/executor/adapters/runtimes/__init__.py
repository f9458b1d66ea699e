"""Where processors run: one module per kind of runtime, loaded when a plan's kind is served."""

from collections.abc import Mapping
from importlib import import_module
from typing import cast

from services.executor.adapters.runtimes.settings import RuntimeSettings
from services.executor.ports.runtime import Runtime
from theory.core.errors import Invalid

__all__ = ["MODULE_BY_KIND", "RuntimeSettings", "open_runtime"]

# Modules are named, not imported: the engine's client loads only where it is used.
MODULE_BY_KIND: Mapping[str, str] = {
    "local": "services.executor.adapters.runtimes.local.runtime",
    "modal": "services.executor.adapters.runtimes.modal.runtime",
    "mock": "services.executor.adapters.runtimes.mock.runtime",
    "process": "services.executor.adapters.runtimes.process.runtime",
}


async def open_runtime(kind: str, settings: RuntimeSettings) -> Runtime:
    """The runtime of this kind. It opens though its engine is away: `probe` tells."""
    if kind not in MODULE_BY_KIND:
        message = f"known kinds of runtime: {', '.join(sorted(MODULE_BY_KIND))}"
        raise Invalid("ADAPTER_UNKNOWN", message, scheme=kind)
    return cast("Runtime", await import_module(MODULE_BY_KIND[kind]).open(settings))
