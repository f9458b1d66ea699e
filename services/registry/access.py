"""Who may call what of the registry: everyone, everything. Who may reach it at all is the address's business."""

from collections.abc import Mapping

from theory.wire.identity import ANYONE, Scope

_REGISTRY = "/theory.api.registry.v1.RegistryService"

ACCESS: Mapping[str, Scope] = {
    f"{_REGISTRY}/GetCapabilities": ANYONE,
    f"{_REGISTRY}/PublishSpecs": ANYONE,
    f"{_REGISTRY}/GetSpecs": ANYONE,
    f"{_REGISTRY}/ListSpecs": ANYONE,
    f"{_REGISTRY}/CreateSnapshot": ANYONE,
    f"{_REGISTRY}/GetSnapshot": ANYONE,
}
