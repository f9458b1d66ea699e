"""A wrong value in any field of a plan's document is refused with the path of that field."""

import copy
from collections.abc import Iterator
from typing import Any, cast

import pytest

from theory.core.errors import Invalid
from theory.core.jcs import JSON
from theory.core.plan import PlanSpec

_CID = "b3:" + "0" * 64
_WHOLE: dict[str, JSON] = {
    "name": "whole",
    "policy": "default@1",
    "world": "w",
    "seed": 7,
    "runtime": "mock",
    "budget": {"max_usd_micro": 5},
    "files": [{"path": "/artifacts/a", "cid": _CID, "size_bytes": 1, "content_type": "text/plain"}],
    "transitions": [
        {
            "id": "a",
            "processor": "x@1",
            "inputs": {},
            "reads": ["/artifacts/a"],
            "needs": ["b"],
            "write_prefix": "/artifacts/x/",
            "for_each": {"files": "/artifacts/**"},
            "runtime": "process",
        },
        {"id": "b", "processor": "x@1"},
    ],
}
_VALUES: tuple[JSON, ...] = (True, 7, -1, 1.5, "x y", "", [], [7], ["x y"], {}, {"x": 1}, [[]], [{}], "\x00", "é" * 300)


def _places(value: JSON, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in a document, but for the document itself."""
    if at:
        yield at
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in children:
        yield from _places(each, (*at, key))


def _path(at: tuple[str | int, ...]) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in at)[1:]


def _with(value: JSON, at: tuple[str | int, ...]) -> JSON:
    document: Any = copy.deepcopy(_WHOLE)
    holder = document
    for key in at[:-1]:
        holder = holder[key]
    holder[at[-1]] = value
    return cast("JSON", document)


@pytest.mark.parametrize("at", list(_places(_WHOLE)), ids=_path)
def test_a_wrong_value_in_any_field_is_refused_with_its_path(at: tuple[str | int, ...]) -> None:
    PlanSpec.parse(_WHOLE)
    refusals = [(value, _refusal(_with(value, at))) for value in _VALUES]
    errors = [(value, error) for value, error in refusals if error is not None]
    assert len(errors) >= len(_VALUES) - 5
    for value, error in errors:
        assert error.reason == "PLAN_INVALID"
        assert error.metadata["field"].startswith((_path(at), "transitions[0].needs")), value
        assert error.message


def _refusal(document: JSON) -> Invalid | None:
    try:
        PlanSpec.parse(document)
    except Invalid as error:
        return error
    return None
