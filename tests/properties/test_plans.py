"""Plans: documents come back, templates are look-ups, expansion is total and in order."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.core import jcs
from theory.core.errors import Invalid
from theory.core.ids import PlanId, execution_id_of
from theory.core.jcs import JSON
from theory.core.plan import PlanSpec, expand
from theory.core.plan.template import fill

pytestmark = pytest.mark.slow

KEYS = st.text(st.characters(exclude_characters="${}.", exclude_categories=["Cs"]), min_size=1, max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=10) | st.just("${item.x}"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
ITEMS = st.dictionaries(KEYS, VALUES, min_size=1, max_size=4)


@given(ITEMS, st.data())
@settings(deadline=None, max_examples=300)
def test_a_template_is_the_value_itself(item: dict[str, JSON], data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(item)))
    assert fill(f"${{item.{key}}}", item, at="x") == item[key]


@given(st.text(max_size=20), st.text(max_size=20).filter(lambda text: "$" not in text))
@settings(deadline=None, max_examples=300)
def test_what_is_filled_in_is_never_looked_at_again(value: str, around: str) -> None:
    filled = fill(f"{around}${{item.v}}${{item.v}}{around}", {"v": value}, at="x")
    assert filled == around + value + value + around


@given(VALUES, ITEMS)
@settings(deadline=None, max_examples=300)
def test_filling_is_total(value: JSON, item: dict[str, JSON]) -> None:
    try:
        filled = fill(value, item, at="x")
    except Invalid as error:
        assert error.reason == "PLAN_INVALID"  # noqa: PT017  # an item without the key is refused
        return
    jcs.canonical(filled)


@st.composite
def _plans(draw: st.DrawFn) -> dict[str, JSON]:
    count = draw(st.integers(1, 6))
    transitions: list[JSON] = []
    for at in range(count):
        needs = draw(st.lists(st.integers(0, count - 1), max_size=3))
        fan_out = draw(st.none() | st.lists(ITEMS, min_size=1, max_size=4))
        inputs = draw(st.dictionaries(KEYS, st.text("abc", max_size=3) | st.integers(0, 9), max_size=3))
        transitions.append(
            {
                "id": f"t{at}",
                "processor": "demo/p@1",
                "needs": [f"t{need}" for need in needs],
                "for_each": fan_out,
                "inputs": inputs,
            }
        )
    return {"name": "p", "transitions": transitions}


@given(_plans())
@settings(deadline=None, max_examples=300)
def test_a_plan_is_accepted_exactly_where_its_needs_form_no_circle(document: dict[str, JSON]) -> None:
    transitions = document["transitions"]
    assert isinstance(transitions, list)
    needs = {each["id"]: set(each["needs"]) for each in transitions}
    while ready := {each for each, needed in needs.items() if not needed}:
        needs = {each: needed - ready for each, needed in needs.items() if each not in ready}
    try:
        plan = PlanSpec.parse(document)
    except Invalid:
        assert needs  # what is left needs itself
        return
    assert not needs
    assert PlanSpec.parse(jcs.parse(jcs.canonical(plan.to_document()))) == plan
    steps = expand(plan)
    assert len(steps) == sum(len(each["for_each"] or [None]) for each in transitions)
    order = [(int(step.transition_id.text[1:]), step.index or 0) for step in steps]
    assert order == sorted(order)
    assert len({execution_id_of(PlanId("p"), step.transition_id, step.index) for step in steps}) == len(steps)
