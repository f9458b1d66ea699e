"""Identifiers: their grammars, and that fresh ones are fresh and in order."""

from datetime import timedelta

import pytest

from tests.unit.theory.core.refusal import refused
from theory.core.clock import FakeClock
from theory.core.errors import Invalid
from theory.core.ids import (
    ExecutionId,
    IdSource,
    PlanId,
    RequestId,
    SequenceIds,
    SystemIds,
    TransitionId,
    execution_id_of,
)


@pytest.mark.parametrize("text", ["a", "0", "p-01", "a" * 64, "a-", "9z"])
def test_a_plan_id_is_accepted(text: str) -> None:
    assert PlanId.parse(text).text == str(PlanId.parse(text)) == text


@pytest.mark.parametrize("text", ["", "-a", "A", "a.b", "a_b", "a b", "a/b", "a" * 65, "é", "a\n", "a\u0661"])
def test_what_is_no_plan_id_is_refused(text: str) -> None:
    with refused(Invalid, "ID_INVALID", field="plan_id", value=text):
        PlanId.parse(text)


@pytest.mark.parametrize("text", ["a", "make-thumb", "a0", "a" * 40])
def test_a_transition_id_is_accepted(text: str) -> None:
    assert TransitionId.parse(text).text == text


@pytest.mark.parametrize("text", ["", "0a", "-a", "A", "a.b", "a" * 41, "a_b"])
def test_what_is_no_transition_id_is_refused(text: str) -> None:
    with refused(Invalid, "ID_INVALID", field="transition_id"):
        TransitionId.parse(text)


@pytest.mark.parametrize("text", ["a", "p-1.thumb", "p-1.thumb.0", "0.0", "a" * 140])
def test_an_execution_id_is_accepted(text: str) -> None:
    assert ExecutionId.parse(text).text == text


@pytest.mark.parametrize("text", ["", ".a", "a.", "a..b", "a.-b", "A", "a/b", "a" * 141, "-a", "..", "a b"])
def test_what_is_no_execution_id_is_refused(text: str) -> None:
    with refused(Invalid, "ID_INVALID", field="execution_id"):
        ExecutionId.parse(text)


@pytest.mark.parametrize("text", ["!", "~", "a" * 36, "8b8c1f7e-90c4-4ee6-9a20-3f3a5a9d7c11"])
def test_a_request_id_is_accepted(text: str) -> None:
    assert RequestId.parse(text).text == text


@pytest.mark.parametrize("text", ["", " ", "a b", "a" * 37, "é", "\x7f", "a\n"])
def test_what_is_no_request_id_is_refused(text: str) -> None:
    with refused(Invalid, "ID_INVALID", field="request_id"):
        RequestId.parse(text)


def test_the_longest_parts_give_a_valid_execution_id() -> None:
    execution_id = execution_id_of(PlanId("p" * 64), TransitionId("t" * 40), 9_999)
    assert ExecutionId.parse(execution_id.text) == execution_id


def test_an_execution_is_named_by_plan_transition_and_item() -> None:
    plan_id, transition_id = PlanId("p-1"), TransitionId("thumb")
    assert execution_id_of(plan_id, transition_id, None).text == "p-1.thumb"
    assert execution_id_of(plan_id, transition_id, 0).text == "p-1.thumb.0"


def test_ids_of_two_kinds_are_never_equal() -> None:
    assert len({PlanId("a"), ExecutionId("a"), TransitionId("a"), PlanId("a")}) == 3


def test_plan_ids_rise_within_a_millisecond_and_over_time() -> None:
    clock = FakeClock()
    ids = SystemIds(clock)
    made = []
    for _ in range(50):
        made += [ids.plan_id() for _ in range(4)]
        clock.advance(0.001)
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert all(PlanId.parse(each.text) == each and len(each.text) == 28 for each in made)


def test_plan_ids_rise_even_where_the_clock_steps_back() -> None:
    clock = FakeClock()
    ids = SystemIds(clock)
    first = ids.plan_id()
    clock._now -= timedelta(hours=1)
    assert ids.plan_id() > first


def test_a_plan_id_begins_with_its_time() -> None:
    clock = FakeClock()
    one, other = SystemIds(clock).plan_id(), SystemIds(clock).plan_id()
    assert one.text[:12] == other.text[:12]
    assert one != other


def test_system_ids_are_well_formed_and_fresh() -> None:
    ids: IdSource = SystemIds()
    assert RequestId.parse(ids.request_id().text) != ids.request_id()
    assert len(ids.token_hex(8)) == 16
    assert ids.token_hex(16) != ids.token_hex(16)


def test_sequence_ids_are_known_before_they_are_made() -> None:
    ids: IdSource = SequenceIds()
    assert [ids.plan_id().text, ids.plan_id().text] == ["p-" + "0" * 25 + "1", "p-" + "0" * 25 + "2"]
    assert [ids.request_id().text, ids.request_id().text] == ["r-1", "r-2"]
    assert [ids.token_hex(2), ids.token_hex(2)] == ["0001", "0002"]
