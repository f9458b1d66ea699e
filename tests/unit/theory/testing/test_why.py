"""How a broken case says what was wrong."""

from collections.abc import Callable

import pytest

from theory.core.errors import NotReady
from theory.testing.why import told


def _caught(fails: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - what is raised is the subject
        fails()
    return caught.value


def test_an_error_of_ours_says_reason_message_and_facts() -> None:
    def fails() -> None:
        raise NotReady("PLAN_ENDED", "the plan has ended", plan_id="p-1")

    assert told(_caught(fails)).startswith("NotReady PLAN_ENDED: the plan has ended (plan_id=p-1) [test_why.py:")


def test_an_assertion_with_words_is_those_words() -> None:
    def fails() -> None:
        raise AssertionError("X was expected,\n not Y")

    assert told(_caught(fails)).startswith("X was expected, not Y [test_why.py:")


def test_a_bare_assertion_is_what_does_not_hold_with_its_values() -> None:
    said = told(_caught(_compare))
    assert said.startswith("does not hold: found == [each * 2 for each in wanted], where found = [1, 2]; wanted = [2]")


def test_what_says_nothing_but_its_place_in_memory_is_left_out() -> None:
    assert "where" not in told(_caught(_objects))


def test_anything_else_is_its_class_and_its_words() -> None:
    assert told(_caught(lambda: _FUNCTIONS["absent"])).startswith("KeyError: 'absent' [test_why.py:")


def test_a_silence_is_told_in_words() -> None:
    assert told(TimeoutError()) == "a call was not answered in time"
    assert told(TimeoutError("it took too long")) == "it took too long"


def test_a_long_story_is_cut() -> None:
    said = told(RuntimeError("word " * 1000))
    assert len(said) <= 240
    assert said.endswith("…")


# Compiled here: pytest rewrites the assertions of this file, and those of the kit it leaves alone.
_SOURCE = """
def compare():
    found, wanted = [1, 2], [2]
    assert (
        found == [each * 2 for each in wanted]
    )


def objects():
    one, other = object(), object()
    assert one is other
"""


@pytest.fixture(autouse=True)
def _compiled(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("cases") / "cases.py"
    file.write_text(_SOURCE)
    exec(compile(_SOURCE, str(file), "exec"), _FUNCTIONS)


_FUNCTIONS: dict[str, Callable[[], object]] = {}


def _compare() -> object:
    return _FUNCTIONS["compare"]()


def _objects() -> object:
    return _FUNCTIONS["objects"]()
