"""Lists as parameters of statements: one text of JSON, so that a statement keeps its text however long they are."""

from collections.abc import Iterable, Sequence

import orjson

from theory.core.cid import Cid
from theory.core.ids import ExecutionId


def json_of(array: Sequence[object]) -> str:
    """The list as `json_each` takes it."""
    return orjson.dumps(array).decode()


def texts_of(items: Iterable[Cid] | Iterable[ExecutionId]) -> str:
    """The same, of the texts of these."""
    return json_of([each.text for each in items])
