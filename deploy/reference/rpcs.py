"""The page of RPCs: what each does, what a repeat does, who may call it, and which errors it gives."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import cast

from deploy.reference.markdown import code, slug, table
from deploy.reference.markdown import page as whole
from deploy.reference.protos import Rpc, Service, services
from theory.wire.identity import ANYONE, SERVICES, Role, Scope
from theory.wire.options import NOT_IDEMPOTENT

_ABOUT = """The first sentence of each RPC, and what it says of repeats and errors. The whole contract, every field with
unit, range and default, stands in `protos/theory/api`. Who may call is the access table of the service; a
[role](../glossary.md#words) that it does not name is refused with `PERMISSION_DENIED` (`ROLE_DENIED`).

Channels of the SDK send a call again by themselves after `UNAVAILABLE`, but never {never}. Beside the errors named
here, every call may give those of the [wire](reasons.md#wire-settings-and-stores)."""


def page() -> str:
    """The whole page."""
    never = ", ".join(code(f"{service.rpartition('.')[2]}.{name}") for service, name in NOT_IDEMPOTENT)
    blocks = [_ABOUT.format(never=never)]
    for service in services():
        blocks += [f"## {service.name}", f"Served by `services.{service.owner}`.", service.comment]
        blocks.append(table(("RPC", "who may call", "travels", "a repeat"), _rows(service)))
        for rpc in service.rpcs:
            blocks += [f"### {service.name}.{rpc.name}", rpc.prose[0], rpc.errors]
    return whole("RPCs", "the protos and the access tables", *blocks)


def _rows(service: Service) -> Iterator[tuple[str, str, str, str]]:
    for rpc in service.rpcs:
        link = f"[{rpc.name}](#{slug(f'{service.name}.{rpc.name}')})"
        yield link, _who(service, rpc), rpc.shape, rpc.repeat


def _who(service: Service, rpc: Rpc) -> str:
    access = cast("Mapping[str, Scope]", import_module(f"services.{service.owner}.access").ACCESS)
    scope = access[f"{service.path}/{rpc.name}"]
    if scope >= ANYONE:
        return "anyone, attempts" if Role.ATTEMPT in scope else "anyone"
    return "services" if scope == SERVICES else ", ".join(role.value for role in Role if role in scope)
