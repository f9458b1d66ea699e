"""What a case is, and what it is held against."""

from types import ModuleType

import pytest

from theory.testing.case import Case, Target, case, cases_in
from theory.wire.identity import Role


def _target(*capabilities: str) -> Target:
    return Target(connect=lambda role: pytest.fail(f"nobody connects as {role}"), capabilities=frozenset(capabilities))


@case("DEDUPE", "DURABLE")
async def a_repeat_changes_nothing(target: Target) -> None:
    """A repeat changes nothing (I-6)."""


def test_a_case_knows_its_name_and_its_promise() -> None:
    assert isinstance(a_repeat_changes_nothing, Case)
    assert a_repeat_changes_nothing.name == "a_repeat_changes_nothing"
    assert a_repeat_changes_nothing.promise == "A repeat changes nothing (I-6)."


@case()
async def the_rest_is_explained(target: Target) -> None:
    """What is promised stands above (I-86, I-6).

    Why that is so is said below (I-7).
    """


def test_a_promise_is_one_sentence_and_numbers() -> None:
    assert a_repeat_changes_nothing.sentence == "A repeat changes nothing."
    assert a_repeat_changes_nothing.invariants == (6,)
    assert the_rest_is_explained.sentence == "What is promised stands above."
    assert the_rest_is_explained.invariants == (6, 7, 86)


def test_a_case_knows_what_a_target_lacks_for_it() -> None:
    assert a_repeat_changes_nothing.missing(_target("DURABLE", "OTHER")) == {"DEDUPE"}
    assert a_repeat_changes_nothing.missing(_target("DURABLE", "DEDUPE")) == set()


def test_cases_are_found_in_the_order_of_their_lines() -> None:
    module = ModuleType("cases")
    first, second = case()(a_repeat_changes_nothing.check), a_repeat_changes_nothing
    vars(module).update({"b": first, "helper": len, "a": second})
    assert list(cases_in(module)) == [first, second]


def test_fresh_names_never_repeat_within_a_target_or_across() -> None:
    one, other = _target(), _target()
    names = {target.fresh("plan") for target in (one, other) for _ in range(50)}
    assert len(names) == 100
    assert all(name.startswith("plan-") and name.replace("-", "").isalnum() for name in names)


async def test_a_target_answers_unless_its_maker_says_otherwise() -> None:
    await _target().answers()


def test_a_channel_has_the_role_that_was_asked_for() -> None:
    asked: list[Role] = []
    target = Target(connect=asked.append)  # type: ignore[arg-type]  # no channel is needed
    target.channel()
    target.channel(Role.EXECUTOR)
    assert asked == [Role.CLIENT, Role.EXECUTOR]
