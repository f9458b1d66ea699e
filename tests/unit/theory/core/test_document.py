"""Reading documents field by field: every complaint says where."""

from collections.abc import Callable

import pytest

from tests.unit.theory.core.refusal import refused
from theory.core.document import Fields
from theory.core.errors import Invalid
from theory.core.refs import Ref

DOCUMENT = {
    "text": "a",
    "number": 3,
    "yes": True,
    "null": None,
    "real": 1.5,
    "inner": {"list": [{"ref": "a@1"}, {"ref": "nope"}], "texts": ["a@1", 2], "numbers": [1, True]},
}


@pytest.fixture
def fields() -> Fields:
    return Fields(DOCUMENT, reason="SPEC_INVALID")


def test_fields_of_the_right_type_are_read(fields: Fields) -> None:
    assert fields.need("text", str) == "a"
    assert fields.need("number", int) == 3
    assert fields.need("yes", bool) is True
    assert fields.whole("number", 0, low=3, high=3) == 3
    assert fields.parsed("text", str.upper, None) == "A"
    assert fields.object("inner").objects("list")[0].needed("ref", Ref.parse) == Ref("a@1")
    assert fields.raw("real") == 1.5
    assert fields.document is DOCUMENT


def test_absent_and_null_are_the_same(fields: Fields) -> None:
    for name in ("null", "absent"):
        assert name not in fields
        assert fields.raw(name) is None
        assert fields.get(name, str, "default") == "default"
        assert fields.whole(name, 7, high=9) == 7
        assert fields.parsed(name, Ref.parse, None) is None
        assert fields.mapping(name) == {}
        assert list(fields.objects(name)) == []
        assert fields.texts(name, str) == ()
        assert fields.wholes(name, high=1) == ()
        with refused(Invalid, "SPEC_INVALID", field=name):
            fields.need(name, str)


@pytest.mark.parametrize(
    ("read", "field"),
    [
        (lambda fields: fields.need("number", str), "number"),
        (lambda fields: fields.need("yes", int), "yes"),
        (lambda fields: fields.need("number", bool), "number"),
        (lambda fields: fields.need("real", int), "real"),
        (lambda fields: fields.whole("number", 0, low=4, high=9), "number"),
        (lambda fields: fields.whole("number", 0, high=2), "number"),
        (lambda fields: fields.needed("text", Ref.parse), "text"),
        (lambda fields: fields.object("text"), "text"),
        (lambda fields: fields.objects("text"), "text"),
        (lambda fields: fields.objects("inner"), "inner"),
        (lambda fields: fields.object("inner").objects("texts"), "inner.texts[0]"),
        (lambda fields: fields.object("inner").texts("texts", str), "inner.texts[1]"),
        (lambda fields: fields.object("inner").texts("list", str), "inner.list[0]"),
        (lambda fields: fields.object("inner").wholes("numbers", high=9), "inner.numbers[1]"),
        (lambda fields: fields.object("inner").wholes("numbers", low=2, high=9), "inner.numbers[0]"),
        (lambda fields: fields.object("inner").objects("list")[1].needed("ref", Ref.parse), "inner.list[1].ref"),
        (lambda fields: fields.object("inner").only("list", "texts"), "inner.numbers"),
    ],
)
def test_a_complaint_names_the_path_of_the_field(fields: Fields, read: Callable[[Fields], object], field: str) -> None:
    with refused(Invalid, "SPEC_INVALID", field=field):
        read(fields)


@pytest.mark.parametrize("value", [None, [], "a", 1, {1: "a"}, {"a": 1, None: 2}])
def test_what_is_no_object_is_refused(value: object) -> None:
    with refused(Invalid, "PLAN_INVALID", field="$"):
        Fields(value, reason="PLAN_INVALID")


@pytest.mark.parametrize(
    ("read", "sentence"),
    [
        (lambda fields: fields.need("number", str), "a text is expected, not a whole number"),
        (lambda fields: fields.need("text", int), "a whole number is expected, not a text"),
        (lambda fields: fields.need("yes", int), "a whole number is expected, not true or false"),
        (lambda fields: fields.need("real", int), "a whole number is expected, not a fraction"),
        (lambda fields: fields.objects("inner"), "a list is expected, not an object"),
        (lambda fields: fields.object("inner").object("list"), "an object with named fields is expected, not a list"),
        (lambda fields: fields.object("inner").objects("texts"), "an object with named fields is expected, not a text"),
        (lambda fields: fields.object("inner").texts("list", str), "a text is expected, not an object"),
        (lambda _: Fields(None, reason="SPEC_INVALID"), "an object with named fields is expected, not null"),
    ],
)
def test_a_complaint_says_what_was_found(fields: Fields, read: Callable[[Fields], object], sentence: str) -> None:
    with refused(Invalid, "SPEC_INVALID") as caught:
        read(fields)
    assert caught.value.message == sentence


def test_a_misspelt_field_is_told_from_one_that_means_nothing() -> None:
    known = ("processor", "inputs", "needs")
    with refused(Invalid, "PLAN_INVALID", field="processer") as caught:
        Fields({"processer": "a@1"}, reason="PLAN_INVALID").only(*known)
    expected = "there is no such field: did you mean processor? known are processor, inputs, needs"
    assert caught.value.message == expected
    with refused(Invalid, "PLAN_INVALID", field="xyz") as caught:
        Fields({"xyz": 1}, reason="PLAN_INVALID").only(*known)
    assert caught.value.message == "there is no such field: known are processor, inputs, needs"


def test_known_fields_are_let_through(fields: Fields) -> None:
    fields.only(*DOCUMENT, "another")


def test_a_refusal_of_the_document_itself_is_at_its_root(fields: Fields) -> None:
    assert fields.refusal("no").metadata == {"field": "$"}
    assert fields.object("inner").refusal("no").metadata == {"field": "inner"}
