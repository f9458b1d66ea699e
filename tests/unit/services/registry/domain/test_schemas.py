"""Schemas are judged in bounded time, and a fault is said with its place."""

import time
from typing import Any

import pytest

from services.registry.domain.schemas import MAX_PARTS, Fault, Form, fault_in_schema, field_of


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://example.org/a", "type": "object"},
        {"$defs": {"a": {"type": "string"}}, "properties": {"x": {"$ref": "#/$defs/a"}}},
        {"$defs": {"a": {"$anchor": "here"}}, "items": {"$ref": "#here"}},
        {"properties": {"child": {"$ref": "#"}}},
        {"properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}}},
        {"$dynamicAnchor": "node", "items": {"$dynamicRef": "#node"}},
        {"type": ["string", "null"], "pattern": "^[a-z]+$", "format": "no-such-format", "x-ours": [1]},
    ],
)
def test_a_schema_that_stands_alone_is_sound(schema: dict[str, Any]) -> None:
    assert fault_in_schema(schema) is None


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        ({"properties": {"a": {"$ref": "//example.org/x"}}}, "properties.a.$ref"),
        ({"allOf": [{}, {"$ref": "x"}]}, "allOf[1].$ref"),
        ({"$ref": ""}, "$ref"),
        ({"$ref": "#nowhere"}, "$ref"),
        ({"$ref": "#/properties/none"}, "$ref"),
        ({"x-data": {"$ref": "https://example.org/x"}, "$ref": "#/x-data"}, "x-data.$ref"),
        ({"$ref": 1}, "$ref"),
        ({"multipleOf": 0}, "multipleOf"),
        ({"additionalProperties": 1}, "additionalProperties"),
    ],
)
def test_a_fault_of_a_schema_has_its_place(schema: dict[str, Any], field: str) -> None:
    fault = fault_in_schema(schema)
    assert fault is not None
    assert fault.field == field


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"type": [at if at % 2 else str(at) for at in range(2_000)]}, id="mixed types"),
        pytest.param({"required": [at if at % 2 else str(at) for at in range(2_000)]}, id="mixed names"),
        pytest.param({"dependencies": {"a": [at if at % 2 else str(at) for at in range(5_000)]}}, id="dependencies"),
        pytest.param({"allOf": [{}] * 60_000}, id="many branches"),
        pytest.param({"properties": {f"p{at}": {} for at in range(MAX_PARTS)}}, id="many properties"),
        pytest.param({"pattern": "(" * 20_000 + ")" * 20_000}, id="nested groups"),
    ],
)
def test_a_hostile_schema_is_refused_at_a_small_cost(schema: dict[str, Any]) -> None:
    began = time.process_time()
    assert fault_in_schema(schema) is not None
    assert time.process_time() - began < 5  # comparing each item with each other would take minutes


def test_items_are_compared_by_what_they_are() -> None:
    form = Form({"uniqueItems": True})
    assert form.fault_in([1, True, "1", [1], {"a": 1}, {"a": 2}, None, 0, False]) is None
    assert form.fault_in([{"a": 1, "b": 2}, {"b": 2, "a": 1}]) == Fault("", "an item occurs twice")
    assert form.fault_in([1, 1.0]) == Fault("", "an item occurs twice")


def test_a_value_deeper_than_the_stack_is_refused() -> None:
    value: Any = {}
    for _ in range(5_000):
        value = {"a": value}
    assert Form({"properties": {"a": {"$ref": "#"}}}).fault_in(value) == Fault("", "it nests too deep")


def test_what_is_passed_over_may_be_anything() -> None:
    form = Form({"properties": {"n": {"type": "integer"}, "m": {"type": "integer"}}})
    fault = form.fault_in({"n": "later", "m": "now"}, passed_over=lambda value: value == "later")
    assert fault == Fault("m", "a whole number is expected")


@pytest.mark.parametrize(
    ("schema", "value", "sentence"),
    [
        ({"type": ["string", "null"]}, 1, "a text or null is expected"),
        ({"enum": [1, "a"]}, 2, 'expected is 1 or "a"'),
        ({"const": False}, 1, "expected is false"),
        ({"maximum": 3}, 4, "it is above 3"),
        ({"minItems": 1}, [], "it has fewer than 1 items"),
        ({"anyOf": [{"const": 1}, {"type": "object"}]}, 2, "it has none of the forms that are allowed here"),
        ({"anyOf": [{"const": 1}, {"type": "object", "required": ["a"]}]}, {}, "the field is missing"),
        ({"multipleOf": 2}, 3, "it breaks the rule multipleOf of its form"),
        (
            *({"properties": {"runtime": {}, "name": {}}, "additionalProperties": False}, {"runtimes": 1}),
            "there is no such field: did you mean runtime? known are runtime, name",
        ),
    ],
)
def test_a_fault_is_said_in_words(schema: dict[str, Any], value: Any, sentence: str) -> None:
    fault = Form(schema).fault_in(value)
    assert fault is not None
    assert fault.sentence == sentence


def test_a_place_is_written_like_a_path() -> None:
    assert field_of(["outputs", "writes", 0, "prefix"]) == "outputs.writes[0].prefix"
    assert field_of([]) == ""
    assert field_of([0, "a"]) == "[0].a"
