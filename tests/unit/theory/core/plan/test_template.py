"""Templates: a look-up, never a language."""

import pytest

from tests.unit.theory.core.refusal import refused
from theory.core.errors import Invalid
from theory.core.jcs import JSON
from theory.core.plan.template import MAX_INPUTS_BYTES, check, fill

ITEM: dict[str, JSON] = {
    "path": "/artifacts/a.jpg",
    "n": 3,
    "half": 0.5,
    "one": 1.0,
    "yes": True,
    "null": None,
    "list": [1, 2],
    "meta": {"size": {"width": 4}},
    "tricky": "${item.n} ${",
    "a-b c": "odd",
}


@pytest.mark.parametrize(
    ("value", "filled"),
    [
        ("plain", "plain"),
        ("$", "$"),
        ("{item.n}", "{item.n}"),
        ("$item.n", "$item.n"),
        ("${item.path}", "/artifacts/a.jpg"),
        ("${item.n}", 3),
        ("${item.yes}", True),
        ("${item.null}", None),
        ("${item.list}", [1, 2]),
        ("${item.meta}", {"size": {"width": 4}}),
        ("${item.meta.size.width}", 4),
        ("${item.a-b c}", "odd"),
        ("x-${item.n}", "x-3"),
        ("${item.n}${item.n}", "33"),
        (" ${item.n}", " 3"),
        ("${item.half}/${item.one}/${item.yes}", "0.5/1/true"),
        ("$${item.n}", "$3"),
        ("${item.tricky}", "${item.n} ${"),
        ("<${item.tricky}>", "<${item.n} ${>"),
        ({"a": ["${item.n}", {"b": "${item.path}!"}], "c": 1}, {"a": [3, {"b": "/artifacts/a.jpg!"}], "c": 1}),
        (("${item.n}",), [3]),
        (1.5, 1.5),
        (None, None),
    ],
)
def test_templates_are_filled_from_the_item(value: JSON, filled: JSON) -> None:
    check(value, at="x", fanned_out=True)
    assert fill(value, ITEM, at="x") == filled


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ("${item}", "x"),
        ("${item.}", "x"),
        ("${.n}", "x"),
        ("${item..n}", "x"),
        ("${item.n.}", "x"),
        ("${items.n}", "x"),
        ("${outputs.n}", "x"),
        ("${ item.n}", "x"),
        ("${env.HOME}", "x"),
        ("${}", "x"),
        ("${", "x"),
        ("${item.n", "x"),
        ("${item.n}${", "x"),
        ("${${item.n}}", "x"),
        ("${item.${item.n}}", "x"),
        ("${item.n}}${{item.n}", "x"),
        ({"a": [0, "${x}"]}, "x.a[1]"),
        ({"a": {"${item.n}": 1}}, "x.a.${item.n}"),
    ],
)
def test_any_other_template_is_refused_with_its_place(value: JSON, field: str) -> None:
    with refused(Invalid, "PLAN_INVALID", field=field):
        check(value, at="x", fanned_out=True)
    with refused(Invalid, "PLAN_INVALID", field=field):
        fill(value, ITEM, at="x")


@pytest.mark.parametrize(
    "value", ["${item.absent}", "${item.n.deeper}", "${item.list.0}", "${item.meta.absent}", "${item.__class__}"]
)
def test_what_the_item_does_not_have_is_refused(value: str) -> None:
    check(value, at="x", fanned_out=True)
    with refused(Invalid, "PLAN_INVALID", field="x[0]"):
        fill([value], ITEM, at="x")


@pytest.mark.parametrize("name", ["null", "list", "meta"])
def test_what_has_no_plain_text_must_be_the_whole_text(name: str) -> None:
    with refused(Invalid, "PLAN_INVALID", field="x"):
        fill(f"a ${{item.{name}}}", ITEM, at="x")


def test_without_a_fan_out_there_is_no_item() -> None:
    check({"a": ["plain", 1]}, at="x", fanned_out=False)
    with refused(Invalid, "PLAN_INVALID", field="x.a"):
        check({"a": "${item.n}"}, at="x", fanned_out=False)
    with refused(Invalid, "PLAN_INVALID", field="x.a"):
        fill({"a": "${item.n}"}, None, at="x")


@pytest.mark.parametrize("template", ["${item.big}", "-${item.big}"])
def test_a_short_text_cannot_grow_without_bound(template: str) -> None:
    item: dict[str, JSON] = {"big": "x" * 1000}
    times = MAX_INPUTS_BYTES // 1002
    fill([template] * times, item, at="x")
    with refused(Invalid, "PLAN_INVALID", field=f"x[{times}]"):
        fill([template] * (times + 1), item, at="x")
    with refused(Invalid, "PLAN_INVALID", field="x"):
        fill(template * (times + 1), item, at="x")
