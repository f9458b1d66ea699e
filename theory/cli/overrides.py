"""`--set` and `--input`: values that the command line puts into a plan's document or a processor's inputs."""

from collections.abc import Iterable

from theory.cli.failures import Usage
from theory.cli.grammar import ASSIGNMENT
from theory.core import jcs
from theory.core.errors import TheoryError
from theory.core.jcs import JSON


def assigned(text: str) -> tuple[str, JSON]:
    """Name and value of `name=text` or `name:=json`; `Usage` otherwise."""
    name, equals, value = text.partition("=")
    as_json = name.endswith(":")
    name = name.removesuffix(":")
    if not equals or not name:
        raise Usage(f"'{text}' assigns nothing", f"write {ASSIGNMENT}")
    if not as_json:
        return name, value
    try:
        return name, jcs.parse(value)
    except TheoryError as error:
        raise Usage(f"what stands behind {name}:= is not JSON: {error.message}", f"write {ASSIGNMENT}") from error


def with_values(document: JSON, assignments: Iterable[str]) -> JSON:
    """A plan's document with values set: `seed:=7`, `transitions.report.inputs.title=New`.

    Segments are keys; in a list they are a number, or the `id` of one of its objects. Objects that are missing on the
    way are made. `Usage` where a segment leads nowhere.
    """
    for each in assignments:
        name, value = assigned(each)
        document = _put(document, name.split("."), value, name)
    return document


def _put(holder: JSON, path: list[str], value: JSON, name: str) -> JSON:
    if not path:
        return value
    first, rest = path[0], path[1:]
    if isinstance(holder, list):
        place = _place(holder, first)
        if place is None:
            raise Usage(f"{name}: there is no '{first}' in that list", "a segment of a list is a number or an id")
        return [_put(each, rest, value, name) if at == place else each for at, each in enumerate(holder)]
    if isinstance(holder, dict) or holder is None:
        known = holder or {}
        return {**known, first: _put(known.get(first), rest, value, name)}
    raise Usage(f"{name}: '{first}' stands below a value that holds nothing", "look at the plan's document")


def _place(holder: list[JSON], segment: str) -> int | None:
    for at, each in enumerate(holder):
        if isinstance(each, dict) and each.get("id") == segment:
            return at
    return int(segment) if segment.isdecimal() and int(segment) < len(holder) else None
