"""Documents that were bent satisfy the expression."""

import jmespath
import pytest

from services.executor.adapters.runtimes.mock.expression import satisfy
from theory.core.jcs import JSON


@pytest.mark.parametrize(
    "expression",
    [
        "title",
        "a.b.c",
        "resolution.width >= `1` && resolution.height >= `1`",
        "photographs > `0` && photographs == length(items)",
        "length(items) == photographs",
        "length(items) >= `3`",
        "`5` < count",
        "count < `5`",
        "kind == 'picture'",
        "kind != 'picture'",
        "state == 'done' || state == 'skipped'",
        "ready == `true`",
    ],
)
def test_the_expression_holds_afterwards(expression: str) -> None:
    document: dict[str, JSON] = {"kind": "picture"} if "!=" in expression else {}
    satisfy(document, expression, None, exact=False)
    assert jmespath.search(expression, document)


@pytest.mark.parametrize("equals", [3, "x", None, False, {"a": [1]}])
def test_the_expression_equals_what_it_must(equals: JSON) -> None:
    document: dict[str, JSON] = {"a": "something else"}
    satisfy(document, "a.b", equals, exact=True)
    assert jmespath.search("a.b", document) == equals


def test_what_holds_already_stays() -> None:
    document: dict[str, JSON] = {"resolution": {"width": 64, "height": 48}, "other": 1}
    satisfy(document, "resolution.width >= `1`", None, exact=False)
    assert document == {"resolution": {"width": 64, "height": 48}, "other": 1}


@pytest.mark.parametrize("expression", ["", "][", "items[?a > `1`].b | [0]", "sort_by(a, &b)[0]", "(" * 5000])
def test_what_is_not_understood_changes_nothing(expression: str) -> None:
    document: dict[str, JSON] = {"a": 1}
    satisfy(document, expression, None, exact=False)
    assert document == {"a": 1}
