"""How promises are listed, chosen, and told of as they end."""

import argparse
import io
from pathlib import Path
from typing import Any

import pytest

from theory.cli import conformance as verb
from theory.cli.conformance_picture import picture
from theory.cli.environment import read
from theory.cli.failures import FAILED, OK, UNVERIFIED, Usage
from theory.cli.grammar import parser_of
from theory.cli.output import Output
from theory.cli.session import Session
from theory.core import jcs
from theory.testing.case import Target, case
from theory.testing.primitives import MODULES_BY_PRIMITIVE, cases_of
from theory.testing.report import Outcome, Report, Verdict


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@case("CLOCK", "STATS")
async def a_word_is_kept(target: Target) -> None:
    """What was said holds (I-35, I-7)."""


KEPT = Verdict(a_word_is_kept, Outcome.KEPT, seconds=1.23)
BROKEN = Verdict(a_word_is_kept, Outcome.BROKEN, "it was \x1b[2Jnot\nkept", 0.5)
SKIPPED = Verdict(a_word_is_kept, Outcome.SKIPPED, "needs CLOCK: a clock", missing=frozenset({"CLOCK"}))


def _output(*, as_json: bool = False, terminal: bool = False) -> Output:
    stdout = _Terminal() if terminal else io.StringIO()
    return Output(as_json=as_json, colour=terminal, stdout=stdout, stderr=io.StringIO())


def _said(output: Output) -> str:
    assert isinstance(output.stdout, io.StringIO)
    return output.stdout.getvalue()


async def _run(*arguments: str, as_json: bool = False) -> tuple[int, str]:
    output = _output(as_json=as_json)
    session = Session(environment=read({}), output=output, home=Path("/nowhere"), url=None)
    code = await verb.conformance(session, parser_of("conformance").parse_args(arguments, argparse.Namespace()))
    return code, _said(output)


async def test_promises_are_listed_with_their_numbers_and_needs() -> None:
    code, said = await _run("queue", "--list")
    assert code == OK
    assert said.startswith(f"queue  {len(cases_of('queue'))} promises\n")
    assert "  an_idempotency_key_is_known_for_ten_minutes  I-40  needs CLOCK" in said
    assert "      Ten minutes after its first publish the key may be used again" in said


@pytest.mark.slow
async def test_every_primitive_is_listed_where_none_is_named() -> None:
    code, said = await _run("--list", as_json=True)
    promises: Any = jcs.parse(said)["promises"]  # type: ignore[index,call-overload]  # a document
    assert code == OK
    assert {each["primitive"] for each in promises} == set(MODULES_BY_PRIMITIVE)
    assert len(promises) == sum(len(cases_of(each)) for each in MODULES_BY_PRIMITIVE)
    assert set(promises[0]) == {"primitive", "name", "sentence", "invariants", "needs"}


async def test_a_list_can_be_narrowed() -> None:
    _, said = await _run(
        "--list", "--only", "a_key_belongs_to_its_plan", "--only", "an_expired_*", "--skip", "*counter*"
    )
    assert [line.split()[0] for line in said.splitlines() if "  I-" in line] == [
        "an_expired_key_is_never_seen",
        "a_key_belongs_to_its_plan",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a primitive: kv, queue, "),
        (["kv", "unix:///s", "--only", "nobody_promised"], "kv has no promise 'nobody_promised'"),
        (["kv", "unix:///s", "--skip", "nobody_promised"], "kv has no promise 'nobody_promised'"),
        (["kv", "unix:///s", "--skip", "*"], "no promise is left to be run"),
        (["--list", "--only", "nobody_promised"], "there is no promise 'nobody_promised'"),
        (["tables", "unix:///s"], "there is no primitive 'tables'"),
        (["kv", "unix:///s", "--jobs", "0"], "'0' is not a whole number from 1 on"),
        (["kv", "unix:///s", "--timeout", "soon"], "'soon' is not a whole number from 1 on"),
    ],
)
async def test_what_cannot_be_run_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(Usage, match=message):
        await _run(*arguments)


def test_a_verdict_is_a_line_and_a_reason() -> None:
    output = _output()
    with verb._shown(output, 3) as shown:
        for each in (KEPT, BROKEN, SKIPPED):
            shown.begin(each.case)
            shown.end(each)
    assert _said(output).splitlines() == [
        "kept        1.2 s  a_word_is_kept  I-7  I-35",
        "broken     0.50 s  a_word_is_kept  I-7  I-35",
        "                   it was \N{REPLACEMENT CHARACTER}[2Jnot kept",
        "skipped            a_word_is_kept  I-7  I-35",
        "                   needs CLOCK: a clock",
    ]


@pytest.mark.parametrize(
    ("verdicts", "line", "code"),
    [
        ([KEPT], "every promise kept: 1 kept, in 2.0 s", OK),
        ([KEPT, SKIPPED], "every promise kept: 1 kept, 1 skipped for want of CLOCK, in 2.0 s", OK),
        ([KEPT, BROKEN], "1 promise broken: 1 kept, 1 broken, in 2.0 s", UNVERIFIED),
        ([SKIPPED], "nothing was proven: 0 kept, 1 skipped for want of CLOCK, in 2.0 s", FAILED),
    ],
)
def test_a_run_ends_with_one_line_and_a_code(verdicts: list[Verdict], line: str, code: int) -> None:
    output = _output()
    verb._conclude(output, Report(verdicts), 2.0)
    assert _said(output).splitlines()[-1] == line
    assert verb._code(Report(verdicts)) == code


def test_what_was_broken_is_told_again_with_what_was_promised() -> None:
    output = _output()
    verb._conclude(output, Report([KEPT, BROKEN]), 2.0)
    assert "broken  a_word_is_kept: What was said holds." in _said(output).splitlines()


def test_on_a_terminal_what_is_under_way_stands_below_what_has_ended() -> None:
    output = _output(terminal=True)
    with verb._shown(output, 2) as shown:
        shown.begin(KEPT.case)
        shown.end(KEPT)
    assert "a_word_is_kept" in _said(output)
    assert "\033[32mkept" in _said(output)


def test_the_picture_names_what_runs_and_counts_what_has_ended() -> None:
    output = _output(terminal=True)
    with picture(output, 2) as drawn:
        drawn.begin(BROKEN.case)
        drawn._live.refresh()
        drawn.end(BROKEN)
        drawn._live.refresh()
    said = _said(output)
    assert "a_word_is_kept" in said
    assert "0/2" in said
    assert "1/2" in said
    assert "1 promise broken" in said


def test_nothing_but_the_document_is_said_with_json() -> None:
    output = _output(as_json=True)
    with verb._shown(output, 1) as shown:
        shown.begin(KEPT.case)
        shown.end(KEPT)
    verb._conclude(output, Report([KEPT]), 1.0)
    assert _said(output) == ""
