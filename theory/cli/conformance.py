"""`theory conformance`: every promise of a primitive, held against a server at any address."""

import argparse
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from theory.cli.environment import SERVICES
from theory.cli.failures import FAILED, OK, UNVERIFIED, Usage
from theory.cli.output import Cell, Output
from theory.cli.session import Session
from theory.cli.text import counted, duration, line, some
from theory.core.clock import SystemClock
from theory.core.errors import NotFound
from theory.core.jcs import JSON
from theory.testing.primitives import MODULES_BY_PRIMITIVE, cases_of
from theory.testing.report import Outcome, Report, Verdict, promise_document
from theory.wire.identity import ANYONE, ServiceKeys

if TYPE_CHECKING:
    from theory.cli.conformance_picture import Picture
    from theory.testing.case import Case
    from theory.testing.target import Opened

_STYLE_BY_OUTCOME = {Outcome.KEPT: "green", Outcome.BROKEN: "red bold", Outcome.SKIPPED: "yellow"}
_OUTCOME_COLUMNS = 9
_SECONDS_COLUMNS = 8


async def conformance(session: Session, options: argparse.Namespace) -> int:
    """Run the promises, or list them."""
    if options.list:
        return _listed(session.output, options)
    primitive = options.primitive
    if primitive is None:
        raise Usage(f"name a primitive: {', '.join(MODULES_BY_PRIMITIVE)}", "theory conformance kv")
    url = options.target or session.url_of(primitive if primitive in SERVICES else "resources")
    cases = _chosen(primitive, options.only, options.skip)
    keys = _keys(session.home)
    from theory.testing.runner import run
    from theory.testing.target import opened

    # A case that is broken in the middle never makes the calls that it had prepared; Python would tell of each.
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    clock = SystemClock()
    began = clock.monotonic()
    async with opened(url, primitive, keys) as found:
        _introduce(session, primitive, url, found)
        with _shown(session.output, len(cases)) as shown:
            report = await run(
                cases,
                found.target,
                timeout_s=options.timeout,
                at_once=options.jobs,
                on_case=shown.begin,
                on_verdict=shown.end,
            )
    seconds = clock.monotonic() - began
    _conclude(session.output, report, seconds)
    session.output.document(
        {
            "primitive": primitive,
            "target": url,
            "adapter": found.offer.adapter,
            "durable": found.offer.durable,
            "capabilities": sorted(found.offer.capabilities),
            "roles": [role.value for role in found.roles],
            **report.to_document(),
            "seconds": round(seconds, 3),
        }
    )
    return _code(report)


def _code(report: Report) -> int:
    if report.count(Outcome.BROKEN):
        return UNVERIFIED
    return OK if report.ok else FAILED


def _listed(output: Output, options: argparse.Namespace) -> int:
    """Tell what would be run."""
    primitives = [options.primitive] if options.primitive else list(MODULES_BY_PRIMITIVE)
    chosen = [(primitive, _chosen(primitive, options.only, options.skip, strict=False)) for primitive in primitives]
    _require_any([case for _, cases in chosen for case in cases], options.only)
    documents: list[JSON] = []
    for primitive, cases in chosen:
        if not cases:
            continue
        output.line(Cell(primitive, "bold"), f"  {counted(len(cases), 'promise')}")
        for case in cases:
            numbers = " ".join(f"I-{number}" for number in case.invariants)
            needs = f"  needs {', '.join(sorted(case.needs))}" if case.needs else ""
            output.line("  ", case.name, Cell(f"  {numbers}", "cyan"), Cell(needs, "yellow"))
            output.line("      ", Cell(case.sentence, "dim"))
            documents.append({"primitive": primitive, **promise_document(case)})
    output.document({"promises": documents})
    return OK


def _chosen(primitive: str, only: Sequence[str], skip: Sequence[str], *, strict: bool = True) -> "list[Case]":
    """The promises that are meant; `Usage` for a name that no promise has."""
    cases = cases_of(primitive)
    if strict:
        for name in (*only, *skip):
            if not any(fnmatchcase(case.name, name) for case in cases):
                raise Usage(f"{primitive} has no promise '{name}'", _LISTS.format(f"{primitive} "))
    wanted = [case for case in cases if not only or any(fnmatchcase(case.name, name) for name in only)]
    left = [case for case in wanted if not any(fnmatchcase(case.name, name) for name in skip)]
    if strict and not left:
        raise Usage("no promise is left to be run", _LISTS.format(f"{primitive} "))
    return left


def _require_any(cases: "Sequence[Case]", only: Sequence[str]) -> None:
    for name in only:
        if not any(fnmatchcase(case.name, name) for case in cases):
            raise Usage(f"there is no promise '{name}'", _LISTS.format(""))


_LISTS = "'theory conformance {}--list' lists the promises"


def _keys(home: Path) -> ServiceKeys | None:
    """What proves the roles of the installation; None where the home has no key."""
    try:
        return ServiceKeys.load(home)
    except NotFound:
        return None


def _introduce(session: Session, primitive: str, url: str, found: "Opened") -> None:
    output, offer = session.output, found.offer
    kept = "" if offer.durable is None else ", durable" if offer.durable else ", not durable"
    output.line(Cell(primitive, "bold"), f" at {line(url)}: {line(offer.adapter)}{kept}")
    output.line(Cell("  offers  ", "dim"), line(", ".join(sorted(offer.capabilities))) or "the common promises")
    if set(found.roles) == ANYONE:
        output.line(Cell("  as      ", "dim"), f"every role, by the key of {session.home}")
    else:
        output.line(Cell("  as      ", "dim"), f"whoever comes without a token: {session.home} has no key")
    output.line()


class Shown(NamedTuple):
    """Where cases are told of as they begin and end."""

    begin: "Callable[[Case], None]"
    end: Callable[[Verdict], None]


_Parts: TypeAlias = Iterable[str | Cell]


@contextmanager
def _shown(output: Output, count: int) -> Iterator[Shown]:
    """Lines, one per case as it ends; on a terminal with what is under way below them."""
    drawn: AbstractContextManager[Picture | None] = nullcontext()
    if output.live:
        from theory.cli.conformance_picture import picture

        drawn = picture(output, count)
    with drawn as picture_below:

        def begin(case: "Case") -> None:
            if picture_below is not None:
                picture_below.begin(case)

        def end(verdict: Verdict) -> None:
            for parts in _lines(verdict):
                if picture_below is None:
                    output.line(*parts)
                else:
                    picture_below.line(parts)
            if picture_below is not None:
                picture_below.end(verdict)
            output.stdout.flush()

        yield Shown(begin, end)


def _lines(verdict: Verdict) -> Iterator[_Parts]:
    took = "" if verdict.outcome is Outcome.SKIPPED else duration(verdict.seconds)
    yield (
        Cell(verdict.outcome.value.ljust(_OUTCOME_COLUMNS), _STYLE_BY_OUTCOME[verdict.outcome]),
        Cell(took.rjust(_SECONDS_COLUMNS), "dim"),
        f"  {verdict.case.name}",
        Cell("".join(f"  I-{number}" for number in verdict.case.invariants), "cyan"),
    )
    if verdict.why:
        style = "red" if verdict.outcome is Outcome.BROKEN else "dim"
        yield " " * (_OUTCOME_COLUMNS + _SECONDS_COLUMNS + 2), Cell(line(verdict.why), style)


def _conclude(output: Output, report: Report, seconds: float) -> None:
    """How it went in one line; before it, what was promised where it was broken."""
    output.line()
    for each in report.of(Outcome.BROKEN):
        output.line(Cell("broken  ", "red bold"), Cell(each.case.name, "bold"), ": ", each.case.sentence)
    kept, broken, skipped = (report.count(each) for each in Outcome)
    verdict = (
        Cell(f"{counted(broken, 'promise')} broken", "red bold")
        if broken
        else Cell("every promise kept", "green bold")
        if kept
        else Cell("nothing was proven", "yellow bold")
    )
    counts = [f"{kept} kept"] + [f"{broken} broken"] * bool(broken) + [f"{skipped} skipped"] * bool(skipped)
    lacked = sorted({name for each in report.of(Outcome.SKIPPED) for name in each.missing})
    without = f" for want of {some(lacked, 6)}" if lacked else ""
    output.line(verdict, f": {', '.join(counts)}{without}, in {duration(seconds)}")
