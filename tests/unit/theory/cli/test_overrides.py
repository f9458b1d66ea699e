"""Values that the command line puts into documents."""

import pytest

from theory.cli.failures import Usage
from theory.cli.overrides import assigned, with_values
from theory.core.jcs import JSON

_PLAN: dict[str, JSON] = {
    "name": "media",
    "transitions": [{"id": "probe"}, {"id": "report", "inputs": {"title": "Old"}, "needs": ["probe"]}],
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=b", ("a", "b")),
        ("a=b=c", ("a", "b=c")),
        ("a=", ("a", "")),
        ("a=1", ("a", "1")),
        ("a:=1", ("a", 1)),
        ('a:={"b": [true]}', ("a", {"b": [True]})),
        ("a=:b", ("a", ":b")),
    ],
)
def test_text_is_text_and_json_is_what_it_says(text: str, expected: tuple[str, JSON]) -> None:
    assert assigned(text) == expected


@pytest.mark.parametrize("text", ["a", "=b", ":=1", "a:=b"])
def test_what_assigns_nothing_is_refused(text: str) -> None:
    with pytest.raises(Usage):
        assigned(text)


def test_a_transition_is_found_by_its_id_and_nothing_else_changes() -> None:
    changed = with_values(_PLAN, ["transitions.report.inputs.title=New", "seed:=7", "budget.max_usd_micro:=5"])
    assert changed == {
        "name": "media",
        "seed": 7,
        "budget": {"max_usd_micro": 5},
        "transitions": [{"id": "probe"}, {"id": "report", "inputs": {"title": "New"}, "needs": ["probe"]}],
    }
    assert changed != _PLAN


def test_an_item_of_a_list_is_found_by_its_number() -> None:
    changed = with_values(_PLAN, ["transitions.1.needs:=[]"])
    assert changed["transitions"][1]["needs"] == []  # type: ignore[index,call-overload]  # it is an object


@pytest.mark.parametrize("text", ["transitions.other.inputs=1", "transitions.7.id=a", "name.first=a"])
def test_a_segment_that_leads_nowhere_is_refused(text: str) -> None:
    with pytest.raises(Usage):
        with_values(_PLAN, [text])
