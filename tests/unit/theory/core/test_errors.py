"""The twelve classes: what they carry, and that it survives copying."""

import copy
import pickle

import pytest

from theory.core import errors
from theory.core.errors import ALL, Exhausted, Invalid, TheoryError, shown


@pytest.mark.parametrize("kind", ALL)
def test_an_error_carries_reason_message_and_metadata(kind: type[TheoryError]) -> None:
    error = kind("A_REASON", "one sentence", path="/artifacts/a")
    assert (error.reason, error.message, error.metadata) == ("A_REASON", "one sentence", {"path": "/artifacts/a"})
    assert str(error) == "one sentence"
    assert repr(error) == f"{kind.__name__}('A_REASON', 'one sentence', path='/artifacts/a')"


def test_metadata_may_be_called_reason_and_message() -> None:
    error = Invalid("A_REASON", "one sentence", reason="x", message="y")
    assert error.metadata == {"reason": "x", "message": "y"}


def test_there_are_twelve_classes_and_each_is_in_all_once() -> None:
    defined = {each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, TheoryError)}
    assert defined - {TheoryError} == set(ALL)
    assert len(ALL) == 12


def test_only_exhausted_and_unavailable_are_worth_a_retry() -> None:
    assert {kind.__name__ for kind in ALL if kind.retryable} == {"Exhausted", "Unavailable"}
    assert not TheoryError.retryable


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_a_copy_of_an_error_says_the_same(kind: type[TheoryError], copied: object) -> None:
    assert callable(copied)
    error = kind("A_REASON", "one sentence", path="/artifacts/a")
    again = copied(error)
    assert (type(again), again.reason, again.message, again.metadata) == (
        kind,
        error.reason,
        error.message,
        error.metadata,
    )


def test_exhausted_says_when_to_come_back_and_a_copy_does_too() -> None:
    error = Exhausted("QUOTA", "too much", retry_after_s=1.5, quota="calls")
    assert error.metadata == {"quota": "calls"}
    assert pickle.loads(pickle.dumps(error)).retry_after_s == 1.5
    assert Exhausted("QUOTA", "too much").retry_after_s is None


def test_shown_text_is_cut_and_can_always_be_encoded() -> None:
    assert shown("plain") == "plain"
    assert shown("a" * 200) == "a" * 200
    assert shown("a" * 201) == "a" * 200 + "..."
    assert shown("x\ud800y") == "x\\ud800y"
