"""Minimal instances are accepted by the schemas they were made from."""

import jsonschema
import pytest

from services.executor.adapters.runtimes.mock.instance import minimal_instance
from theory.core.jcs import JSON

SCHEMAS: dict[str, JSON] = {
    "nothing asked": {},
    "required fields": {
        "type": "object",
        "required": ["title", "duration_ms", "resolution", "tags", "ok", "none"],
        "properties": {
            "title": {"type": "string", "minLength": 6, "maxLength": 8},
            "duration_ms": {"type": "integer", "minimum": 3},
            "resolution": {
                "type": "object",
                "properties": {"width": {"type": "integer", "exclusiveMinimum": 0}},
                "required": ["width"],
            },
            "tags": {"type": "array", "minItems": 2, "items": {"type": "number", "maximum": -1}},
            "ok": {"type": "boolean"},
            "none": {"type": "null"},
            "not required": {"type": "string"},
        },
        "additionalProperties": False,
    },
    "choices": {
        "type": "object",
        "required": ["a", "b", "c", "d"],
        "properties": {
            "a": {"const": "fixed"},
            "b": {"enum": [3, 4]},
            "c": {"type": "string", "pattern": "^#[0-9a-f]{6}$", "examples": ["#00ff00"]},
            "d": {"type": ["null", "integer"], "multipleOf": 5, "minimum": 7},
        },
    },
    "composed": {
        "allOf": [{"$ref": "#/$defs/one"}, {"required": ["b"], "properties": {"b": {"type": "string"}}}],
        "$defs": {"one": {"type": "object", "required": ["a"], "properties": {"a": {"anyOf": [{"type": "integer"}]}}}},
    },
    "array at the top": {"type": "array", "minItems": 1, "prefixItems": [{"type": "string", "format": "date"}]},
    "kind left out": {"required": ["a"], "properties": {"a": {"minimum": 2}}},
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_instance_is_valid(name: str) -> None:
    schema = SCHEMAS[name]
    assert isinstance(schema, dict)
    jsonschema.Draft202012Validator(schema).validate(minimal_instance(schema))


def test_what_is_not_required_is_left_out() -> None:
    assert minimal_instance({"type": "object", "properties": {"a": {"type": "string"}}}) == {}


def test_a_schema_that_refers_to_itself_ends() -> None:
    schema: JSON = {"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#"}}}
    assert isinstance(minimal_instance(schema), dict)


@pytest.mark.parametrize("schema", [True, {"$ref": "https://example.org/other"}, {"$ref": "#/missing"}])
def test_what_cannot_be_told_is_an_empty_object(schema: JSON) -> None:
    assert minimal_instance(schema) == {}
