"""The page docs/conformance.md: every adapter x every promise, from what the adapters offered when they were run."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from deploy.reference.markdown import code, table
from tests.conformance.harness import adapters_of
from tests.conformance.lacking import WHY
from theory.api.resources.v1.kv_pb2 import KVFeature
from theory.api.resources.v1.queue_pb2 import QueueFeature
from theory.api.resources.v1.secret_pb2 import SecretFeature
from theory.testing.capabilities import CAPABILITIES, lacking
from theory.testing.case import Case
from theory.testing.primitives import MODULES_BY_PRIMITIVE, cases_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"
TEXT = Path(__file__).with_name("page.md")
"""What is written by hand; `<!-- name -->` stands where a part is put."""

_FEATURES = {
    "kv": [name.removeprefix("KV_FEATURE_") for name in KVFeature.keys()[1:]],
    "queue": [name.removeprefix("QUEUE_FEATURE_") for name in QueueFeature.keys()[1:]],
    "secret": [name.removeprefix("SECRET_FEATURE_") for name in SecretFeature.keys()[1:]],
}
_YES, _NO, _NEVER = "yes", "no", "-"
_OFFER_ROW = re.compile(r"^\| `([A-Z_]+)` \|(.*)\|$", re.MULTILINE)
_MARKS = "¹²³⁴⁵⁶⁷⁸⁹"


@dataclass(frozen=True, slots=True)
class Shown:
    """What was found of one adapter."""

    durable: bool | None
    offers: frozenset[str]


Found = Mapping[str, Mapping[str, Shown]]
"""Primitive to adapter to what was found."""


def page(found: Found) -> str:
    """The whole page."""
    parts = {"capabilities": _capabilities(), "gaps": _gaps(found), "tables": _tables(found)}
    return re.sub(r"<!-- (\w+) -->", lambda match: parts[match[1]], TEXT.read_text("utf-8"))


def known_of(primitive: str) -> list[str]:
    """The capabilities that make a difference to a primitive: its features, and what its cases need besides."""
    features = _FEATURES.get(primitive, [])
    needed = {name for case in cases_of(primitive) for name in case.needs}
    return [*features, *(name for name in CAPABILITIES if name in needed and name not in features)]


def found_in(text: str) -> Found:
    """What a page says was found."""
    found: dict[str, dict[str, Shown]] = {}
    for primitive in MODULES_BY_PRIMITIVE:
        section = re.search(rf"^## {primitive}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
        head = re.search(r"^\| offers \|(.*)\|$", section[1], re.MULTILINE) if section else None
        if section is None or head is None:
            continue
        adapters = [each.strip().strip("`") for each in head[1].split("|")]
        rows = {name: _cells(cells) for name, cells in _OFFER_ROW.findall(section[1])}
        durable = re.search(r"^\| durable \|(.*)\|$", section[1], re.MULTILINE)
        kept = _cells(durable[1]) if durable else [_NEVER] * len(adapters)
        found[primitive] = {
            adapter: Shown(
                {_YES: True, _NO: False}.get(kept[at]),
                frozenset(name for name, cells in rows.items() if cells[at] == _YES),
            )
            for at, adapter in enumerate(adapters)
        }
    return found


def faults() -> Iterator[str]:
    """How the page differs from the tables of adapters and from the cases; needs no server."""
    text = PAGE.read_text("utf-8") if PAGE.is_file() else ""
    found = found_in(text)
    for primitive in MODULES_BY_PRIMITIVE:
        shown, there = set(found.get(primitive, {})), set(adapters_of(primitive))
        yield from (f"docs/conformance.md: {primitive} has no column for {each}" for each in sorted(there - shown))
        yield from (f"docs/conformance.md: {primitive} on {each} is no more" for each in sorted(shown - there))
    if list(found) == list(MODULES_BY_PRIMITIVE) and page(found) != text:
        yield "docs/conformance.md: its promises or words are old"


def unexplained(found: Found) -> Iterator[str]:
    """Gaps for which nobody gave a reason."""
    for primitive, adapters in found.items():
        for adapter, shown in adapters.items():
            for name in _FEATURES.get(primitive, []):
                if name not in shown.offers and name not in WHY.get(adapter, {}):
                    yield f"why does {primitive} on {adapter} lack {name}?"


def _capabilities() -> str:
    rows = [(code(name), f"{each.sentence}", each.source) for name, each in CAPABILITIES.items()]
    return table(("capability", "a server with it", "learned from"), rows)


def _gaps(found: Found) -> str:
    """Adapter by adapter what it lacks, and why."""
    rows: dict[tuple[str, str], list[str]] = {}
    for primitive, adapters in found.items():
        for adapter, shown in adapters.items():
            for name in _FEATURES.get(primitive, []):
                if name not in shown.offers:
                    rows.setdefault((adapter, name), []).append(primitive)
    return table(
        ("adapter", "of", "lacks", "because"),
        [
            (code(adapter), ", ".join(primitives), code(name), f"{WHY[adapter][name]}.")
            for (adapter, name), primitives in sorted(rows.items())
        ],
    )


def _tables(found: Found) -> str:
    return "\n\n".join(chain.from_iterable(_section(each, adapters) for each, adapters in found.items()))


def _section(primitive: str, adapters: Mapping[str, Shown]) -> Iterator[str]:
    cases = cases_of(primitive)
    yield f"## {primitive}"
    names = [code(each) for each in adapters]
    yield table(("offers", *names), _offers(primitive, adapters))
    notes: dict[str, str] = {}
    rows = [(_promise(case), _numbers(case), *_verdicts(case, adapters.values(), notes)) for case in cases]
    yield table((f"{len(cases)} promises", "invariants", *names), rows)
    if notes:
        yield "  \n".join(f"{mark} {why}." for why, mark in notes.items())


def _offers(primitive: str, adapters: Mapping[str, Shown]) -> Iterator[Sequence[str]]:
    durable = {None: _NEVER, True: _YES, False: _NO}
    yield ("durable", *(durable[each.durable] for each in adapters.values()))
    for name in known_of(primitive):
        yield (code(name), *(_YES if name in each.offers else _NO for each in adapters.values()))


def _promise(case: Case) -> str:
    return f"{code(case.name)} {case.sentence}"


def _numbers(case: Case) -> str:
    return " ".join(f"I-{number}" for number in case.invariants)


def _verdicts(case: Case, adapters: Iterable[Shown], notes: dict[str, str]) -> Iterator[str]:
    """`kept`, or the mark of a note that says what it was skipped for."""
    for each in adapters:
        missing = case.needs - each.offers
        if not missing:
            yield "kept"
            continue
        why = lacking(missing)
        if why not in notes:
            notes[why] = _mark(len(notes))
        yield f"skipped {notes[why]}"


def _mark(at: int) -> str:
    return "".join(_DIGITS[int(digit)] for digit in str(at + 1))


_DIGITS = "⁰¹²³⁴⁵⁶⁷⁸⁹"


def _cells(row: str) -> list[str]:
    return [each.strip() for each in row.split("|")]
