"""The tests of services/executor/domain/judging.py."""

from collections.abc import Mapping

import pytest

from services.executor.domain import judging
from theory.core import jcs
from theory.core.jcs import JSON


def _schema(schema: JSON) -> Mapping[str, JSON]:
    return {"path": "/artifacts/a.json", "ref": "a@1", "schema": schema}


def _expression(expression: str, **equals: JSON) -> Mapping[str, JSON]:
    return {"path": "/artifacts/a.json", "expression": expression, **equals}


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {"type": ["object", "null"], "required": ["pattern"], "properties": {"pattern": {"type": "string"}}},
        {"items": {"additionalProperties": {"enum": ["a", "b"]}}, "uniqueItems": True, "title": "t"},
        {"additionalProperties": False},
        {"$schema": "https://json-schema.org/draft/2020-12/schema"},
    ],
)
def test_plain_schemas_are_quick_for_small_documents_alone(schema: JSON) -> None:
    assert judging.is_quick(_schema(schema), 100)
    assert not judging.is_quick(_schema(schema), judging.MAX_STEPS + 1)


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": "a"},
        {"patternProperties": {"a": True}},
        {"$ref": "#/$defs/a", "$defs": {"a": True}},
        {"anyOf": [True]},
        {"not": {}},
        {"contains": {}},
        {"items": {"$schema": "https://json-schema.org/draft/2020-12/schema", "uniqueItems": True}},
        {"unevaluatedProperties": False},
        {"properties": ["not", "a", "mapping"]},
        {"items": {"properties": {"a": {"additionalProperties": {"pattern": "a"}}}}},
    ],
)
def test_schemas_that_could_backtrack_refer_or_repeat_are_not(schema: JSON) -> None:
    assert not judging.is_quick(_schema(schema), 1)


def test_a_long_schema_is_not_quick_for_what_a_short_one_would_be() -> None:
    wanted: list[JSON] = [str(number) for number in range(2000)]
    assert judging.is_quick(_schema({"enum": wanted}), 10)
    assert not judging.is_quick(_schema({"enum": wanted}), 100)


@pytest.mark.parametrize("expression", ["a", "a.b[0] == `2` && !c", "length(a) > `3` || @ == 'x'", "a | b"])
def test_plain_expressions_are_quick_for_small_documents_alone(expression: str) -> None:
    assert judging.is_quick(_expression(expression), 100)
    assert not judging.is_quick(_expression(expression), judging.MAX_STEPS + 1)


@pytest.mark.parametrize("expression", ["a[]", "[a, a]", "a[*].b", "a[?b]", "{a: a}", "join('', a)", "a[1:2]", "*.a"])
def test_expressions_that_could_multiply_are_not(expression: str) -> None:
    assert not judging.is_quick(_expression(expression), 1)


@pytest.mark.parametrize("expression", ["a >", "a" * 5000])
def test_what_cannot_be_compiled_is_refused_at_once(expression: str) -> None:
    assert judging.is_quick(_expression(expression), judging.MAX_STEPS + 1)
    assert judging.complaint(_expression(expression), b"{}") is not None


def test_what_nests_too_deep_is_not_quick() -> None:
    assert not judging.is_quick(_expression("(" * 4000), 1)
    assert judging.complaint(_expression("(" * 4000), b"{}") is not None


def test_what_holds_is_no_complaint() -> None:
    assert judging.complaint(_expression("a"), b'{"a": 1}') is None
    assert judging.complaint(_expression("a", equals=1), b'{"a": 1}') is None
    assert judging.complaint(_schema({"type": "object"}), b"{}") is None


def test_what_does_not_hold_is_said_with_its_place() -> None:
    assert judging.complaint(_expression("a"), b"{}") == "a does not hold at /artifacts/a.json"
    assert judging.complaint(_expression("a", equals=1), b"{}") == "a is not what it must equal at /artifacts/a.json"
    said = judging.complaint(_schema({"type": "object"}), b'["private"]')
    assert said == "/artifacts/a.json breaks a@1: the document: it is not of type 'object'"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "moon"},
        {"pattern": "("},
        {"$ref": "https://example.com/a"},
        {"$ref": "#"},
        {"pattern": "a{99999999999}"},
    ],
)
def test_a_schema_that_cannot_be_applied_is_a_complaint(schema: JSON) -> None:
    said = judging.complaint(_schema(schema), jcs.canonical("private"))
    assert said is not None
    assert said.startswith("the schema a@1 cannot be applied")
    assert "private" not in said
