"""Bending a document so that a JMESPath expression holds of it, for the plain ones that predicates consist of."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

import jmespath
from jmespath.exceptions import JMESPathError

from theory.core.jcs import JSON

# A node of the parser: type, value, children.
_Node: TypeAlias = Mapping[str, Any]

_MISSING = object()
_MIRRORED = {"lt": "gt", "lte": "gte", "gt": "lt", "gte": "lte", "eq": "eq", "ne": "ne"}


def satisfy(document: dict[str, JSON], expression: str, equals: JSON, *, exact: bool) -> None:
    """Change `document` so that the expression is true of it, or equals `equals` where `exact`; as far as can be.

    Understands fields and chains of them, comparisons with literals and with `length(...)`, `&&` and the left side of
    `||`. Whatever else the expression holds is left as it is.
    """
    try:
        tree = cast("_Node", jmespath.compile(expression).parsed)
    except (JMESPathError, RecursionError):
        return
    if exact:
        _make(document, tree, "eq", equals)
    else:
        _hold(document, tree)


def _hold(document: dict[str, JSON], node: _Node) -> None:
    match node["type"]:
        case "and_expression":
            for child in node["children"]:
                _hold(document, child)
        case "or_expression":
            _hold(document, node["children"][0])
        case "comparator":
            _compare(document, node["value"], *node["children"])
        case "field" | "subexpression":
            present = _found(document, node)
            if present is _MISSING or not present:
                _put(document, node, "mock")


def _compare(document: dict[str, JSON], operator: str, left: _Node, right: _Node) -> None:
    if left["type"] == "literal":
        operator, left, right = _MIRRORED[operator], right, left
    if right["type"] == "literal":
        _make(document, left, operator, right["value"])
    elif operator == "eq" and _measured(right) is not None:
        number = _found(document, left)
        count = number if isinstance(number, int) and number >= 0 else 1
        _make(document, left, "eq", count)
        _make(document, right, "eq", count)
    elif operator == "eq" and _measured(left) is not None:
        _compare(document, operator, right, left)


def _make(document: dict[str, JSON], node: _Node, operator: str, value: JSON) -> None:
    """Let what `node` names be in this relation to `value`, unless it is already."""
    measured = _measured(node)
    target = node if measured is None else measured
    present = _found(document, target)
    if measured is not None:
        count = _related(operator, value)
        if isinstance(count, int) and not (isinstance(present, list | str) and _is(operator, len(present), value)):
            _put(document, target, cast("JSON", ["mock"] * max(count, 0)))
    elif not _is(operator, present, value):
        _put(document, target, _related(operator, value))


def _measured(node: _Node) -> _Node | None:
    """The argument of `length(...)`."""
    if node["type"] == "function_expression" and node["value"] == "length":
        return cast("_Node", node["children"][0])
    return None


def _related(operator: str, value: JSON) -> JSON:
    if operator == "ne":
        return "mock" if value != "mock" else "other"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value + {"gt": 1, "lt": -1}.get(operator, 0)
    return value


_HOLDS: Mapping[str, Callable[[Any, Any], bool]] = {
    "lt": lambda one, other: one < other,
    "lte": lambda one, other: one <= other,
    "gt": lambda one, other: one > other,
    "gte": lambda one, other: one >= other,
}


def _is(operator: str, present: object, value: JSON) -> bool:
    if present is _MISSING:
        return False
    if operator in {"eq", "ne"}:
        return (present == value) is (operator == "eq")
    numbers = isinstance(present, int | float) and isinstance(value, int | float)
    return numbers and _HOLDS[operator](present, value)


def _path(node: _Node) -> list[str] | None:
    if node["type"] == "field":
        return [str(node["value"])]
    if node["type"] == "subexpression":
        steps = [_path(child) for child in node["children"]]
        return None if None in steps else [name for step in steps for name in step or []]
    return None


def _found(document: Mapping[str, JSON], node: _Node) -> Any:  # noqa: ANN401 - any JSON, or nothing
    at: Any = document
    for name in _path(node) or [""]:
        if not isinstance(at, Mapping) or name not in at:
            return _MISSING
        at = at[name]
    return at


def _put(document: dict[str, JSON], node: _Node, value: JSON) -> None:
    path = _path(node)
    if path is None:
        return
    at = document
    for name in path[:-1]:
        inner = at.get(name)
        at[name] = dict(inner) if isinstance(inner, Mapping) else {}
        at = cast("dict[str, JSON]", at[name])
    at[path[-1]] = value
