"""Access tables: which scope each method has, and the proof that none was forgotten."""

from collections.abc import Iterable, Iterator, Mapping

from google.protobuf.descriptor import ServiceDescriptor

from theory.core.errors import Invalid
from theory.wire.identity import Scope


def methods_of(service: ServiceDescriptor) -> Iterator[str]:
    """The full names of a service's methods, as gRPC writes them: `/package.Service/Method`."""
    return (f"/{service.full_name}/{method.name}" for method in service.methods)


def require_total(access: Mapping[str, Scope], methods: Iterable[str]) -> None:
    """Refuse a table that leaves a method out, or grants one that does not exist: `Invalid` (`CONFIG_INVALID`).

    What has no scope is denied to everyone, so it cannot be served by accident.
    """
    served = set(methods)
    if missing := sorted(served - access.keys()):
        raise Invalid("CONFIG_INVALID", f"no scope is stated for {', '.join(missing)}")
    if stray := sorted(access.keys() - served):
        raise Invalid("CONFIG_INVALID", f"the access table names what is not served: {', '.join(stray)}")
