"""A short run of every target, and that a run finds what it is there to find."""

import pytest
from hypothesis import strategies as st

from tests.fuzz.run import Fuzzing
from tests.fuzz.targets import TARGETS, Check, Target


@pytest.mark.long
@pytest.mark.parametrize("name", TARGETS)
def test_nothing_that_is_nearly_right_breaks_a_promise(name: str) -> None:
    fuzzing = Fuzzing(TARGETS[name])
    fuzzing.run(budget_s=10)
    assert fuzzing.texts >= 500


def _planted() -> Check:
    def check(text: str) -> None:
        assert "%" not in text

    return check


@pytest.mark.slow
def test_a_fault_is_found_made_small_and_told_with_its_round() -> None:
    fuzzing = Fuzzing(Target(st.text(), _planted), round=7)
    with pytest.raises(AssertionError) as caught:
        fuzzing.run(budget_s=60)
    assert any("'%'" in note for note in caught.value.__notes__)
    assert fuzzing.round >= 7
