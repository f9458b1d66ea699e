"""The page of reasons: why a call or an item failed, and which RPCs say so."""

from collections.abc import Iterator, Mapping

from deploy.reference.markdown import code, slug, table
from deploy.reference.markdown import page as whole
from deploy.reference.protos import Reason, reasons, reasons_in, services

# The first number of each range, in order.
_TITLE_BY_FIRST: Mapping[int, str] = {
    1: "Words",
    40: "Wire, settings and stores",
    100: "Registry",
    200: "Executor",
    300: "Artifacts",
    400: "Resources",
    500: "Ledger",
    600: "Command line",
}

_ABOUT = """A reason says why a call or an item of a batch failed. It stands in `ErrorInfo.reason` (domain
`theory.dev`) or `ItemStatus.reason`, and in the SDK in `error.reason`; the code says
[how to react](../glossary.md#error-classes). Match on the class or the reason, never on the message.

A reason that no RPC names may come with any call (tokens, roles, limits), is raised at the start of a process or in a
client, or is found in `Execution.failure`."""


def page() -> str:
    """The whole page."""
    named_by = _named_by()
    blocks = [_ABOUT]
    for first, title in _TITLE_BY_FIRST.items():
        last = min((each for each in _TITLE_BY_FIRST if each > first), default=1_000)
        rows = (_row(each, named_by) for each in reasons() if first <= each.number < last)
        blocks += [f"## {title}", table(("reason", "code", "meaning", "metadata", "named by"), rows)]
    return whole("Reasons", "`protos/theory/api/core/v1/error_reason.proto`", *blocks)


def _row(reason: Reason, named_by: Mapping[str, list[str]]) -> tuple[str, str, str, str, str]:
    links = (f"[{name.replace('Service', '')}](rpcs.md#{slug(name)})" for name in named_by.get(reason.name, []))
    status = reason.code if reason.code == "Any code" else code(reason.code)
    return code(reason.name), status, reason.sentence, reason.metadata, ", ".join(links)


def _named_by() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, reason in _named():
        found.setdefault(reason, []).append(name)
    return found


def _named() -> Iterator[tuple[str, str]]:
    for service in services():
        everywhere = reasons_in(service.comment)
        yield from ((service.name, reason) for reason in sorted(everywhere))
        for rpc in service.rpcs:
            yield from ((f"{service.name}.{rpc.name}", reason) for reason in service.reasons(rpc) - everywhere)
