"""How errors end a command."""

import io

import pytest

from theory.api.core.v1.error_reason_pb2 import ErrorReason
from theory.cli import failures
from theory.cli.output import Output
from theory.core import errors, jcs
from theory.core.errors import Exhausted, Invalid, NotFound, NotReady, TheoryError, Unavailable


def _told(error: BaseException, *, as_json: bool = False) -> tuple[int, str]:
    stderr = io.StringIO()
    code = failures.report(error, Output(as_json=as_json, colour=False, stdout=io.StringIO(), stderr=stderr))
    return code, stderr.getvalue()


def test_an_error_is_a_sentence_its_facts_and_what_to_do() -> None:
    error = NotFound("PLAN_UNKNOWN", "no plan p-9 is known", plan_id="p-9", empty="")
    code, said = _told(error)
    assert code == failures.FAILED
    assert said.splitlines() == [
        "error: no plan p-9 is known",
        "  plan_id: p-9",
        "  reason: PLAN_UNKNOWN",
        "  hint: 'theory plan ls' lists the plans",
    ]


def test_a_place_in_a_file_is_written_as_editors_read_it() -> None:
    _, said = _told(Invalid("YAML_INVALID", "aliases are refused", source="plan.yaml", line="3", column="7"))
    assert "  at: plan.yaml:3:7\n" in said
    assert "line:" not in said


def test_facts_are_told_in_one_order_however_they_came() -> None:
    facts = {"served": "mock", "runtime": "local"}
    for each in (facts, dict(reversed(facts.items()))):
        _, said = _told(NotReady("A", "a", **each))
        assert said == "error: a\n  runtime: local\n  served: mock\n  reason: A\n"


def test_foreign_words_cannot_move_the_cursor() -> None:
    _, said = _told(NotFound("ARTIFACT_UNKNOWN", "no \x1b[2J", path="/a\nb"))
    assert said.startswith("error: no �[2J\n  path: /a b\n")


def test_as_json_an_error_is_one_document() -> None:
    code, said = _told(Unavailable("SERVICE_UNREACHABLE", "nothing answers", url="unix:///x"), as_json=True)
    assert code == failures.SERVICE
    document = jcs.parse_object(said)
    assert document["exit_code"] == failures.SERVICE
    assert document["error"] == {
        "class": "Unavailable",
        "reason": "SERVICE_UNREACHABLE",
        "message": "nothing answers",
        "metadata": {"url": "unix:///x"},
        "hint": "start the services with 'theory up', or say where they are with --url or --home",
    }


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.Invalid("A", "a"), failures.USAGE),
        (errors.NotFound("A", "a"), failures.FAILED),
        (errors.NotReady("A", "a"), failures.FAILED),
        (Exhausted("A", "a"), failures.SERVICE),
        (errors.Corrupt("A", "a"), failures.UNVERIFIED),
        (TheoryError("INTERNAL", "a"), failures.SERVICE),
        (TimeoutError(), failures.SERVICE),
        (FileNotFoundError(2, "No such file", "x"), failures.FAILED),
        (failures.Usage("no", "how"), failures.USAGE),
        (ValueError("a bug"), failures.SERVICE),
    ],
)
def test_every_error_has_its_exit_code(error: BaseException, code: int) -> None:
    assert _told(error)[0] == code


def test_every_class_of_error_has_an_exit_code_of_its_own_choice() -> None:
    assert set(failures._CODE_BY_CLASS) == set(errors.ALL)


def test_hints_are_for_reasons_that_exist() -> None:
    known = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()}  # noqa: SIM118 - an enum's method
    assert set(failures._HINT_BY_REASON) <= known
