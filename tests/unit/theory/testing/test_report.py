"""What is said of cases that have ended."""

from theory.testing.case import Target, case
from theory.testing.report import Outcome, Report, Verdict, promise_document


@case("CLOCK", "ANOTHER")
async def it_holds(target: Target) -> None:
    """It holds, whatever comes (I-7, I-6)."""


KEPT = Verdict(it_holds, Outcome.KEPT, seconds=0.12345)
BROKEN = Verdict(it_holds, Outcome.BROKEN, "it does not", 2.0)
SKIPPED = Verdict(it_holds, Outcome.SKIPPED, "needs CLOCK", missing=frozenset({"CLOCK"}))


def test_a_run_that_kept_something_and_broke_nothing_is_ok() -> None:
    assert Report([KEPT, SKIPPED]).ok
    assert not Report([KEPT, BROKEN]).ok
    assert not Report([SKIPPED]).ok
    assert not Report().ok


def test_a_report_is_a_document() -> None:
    document = Report([KEPT, BROKEN, SKIPPED]).to_document()
    assert (document["kept"], document["broken"], document["skipped"]) == (1, 1, 1)
    assert document["promises"] == [each.to_document() for each in (KEPT, BROKEN, SKIPPED)]
    assert BROKEN.to_document() == {
        **promise_document(it_holds),
        "outcome": "broken",
        "why": "it does not",
        "seconds": 2.0,
    }
    assert KEPT.to_document()["seconds"] == 0.123


def test_a_promise_is_a_document() -> None:
    assert promise_document(it_holds) == {
        "name": "it_holds",
        "sentence": "It holds, whatever comes.",
        "invariants": ["I-6", "I-7"],
        "needs": ["ANOTHER", "CLOCK"],
    }
