"""Templates in a plan: `${item.key}` names a value of the fan-out's item, and nothing else is ever evaluated."""

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from theory.core import jcs
from theory.core.errors import Invalid, shown
from theory.core.jcs import JSON

MAX_INPUTS_BYTES = 256 * 1024
"""How much canonical JSON the inputs of one step may be, before and after filling."""

Item: TypeAlias = Mapping[str, JSON]

_NAMED = re.compile(r"\$\{([^{}]*)\}")
_ITEM_KEY = re.compile(r"item((?:\.[^.{}]+)+)").fullmatch


def check(value: JSON, *, at: str, fanned_out: bool) -> None:
    """Refuse what `fill` would refuse for every item: `Invalid` (`PLAN_INVALID`) with the `field` below `at`."""

    def look_up(_: tuple[str, ...]) -> JSON:
        if not fanned_out:
            raise _Unfilled("a template needs a `for_each`")
        return ""

    _filled(value, look_up, at)


def fill(value: JSON, item: Item | None, *, at: str) -> JSON:
    """`value` with its templates filled from `item`.

    A text that is one template becomes the item's value, of whatever type; within a longer text the value must be a
    text, a number or a truth value. What was filled in is never looked at again. `Invalid` (`PLAN_INVALID`) with the
    `field` below `at`: a key that the item does not have, any other `${`, or more than `MAX_INPUTS_BYTES` filled in.
    """
    left = MAX_INPUTS_BYTES

    def look_up(keys: tuple[str, ...]) -> JSON:
        nonlocal left
        found = _look_up(item, keys)
        # Counted while filling: a short text may name a long value many times.
        left -= len(jcs.canonical(found))
        if left < 0:
            raise _Unfilled(f"templates fill in more than {MAX_INPUTS_BYTES} bytes")
        return found

    return _filled(value, look_up, at)


class _Unfilled(Exception):
    """A sentence on its way to the place that knows the path."""


_LookUp: TypeAlias = Callable[[tuple[str, ...]], JSON]


def _filled(value: JSON, look_up: _LookUp, at: str) -> JSON:
    if isinstance(value, str):
        try:
            return _filled_text(value, look_up) if "${" in value else value
        except _Unfilled as error:
            raise Invalid("PLAN_INVALID", str(error), field=shown(at)) from None
    if isinstance(value, Mapping):
        if stray := next((key for key in value if "${" in key), None):
            raise Invalid("PLAN_INVALID", "a template cannot stand in a key", field=shown(f"{at}.{stray}"))
        return {key: _filled(each, look_up, f"{at}.{key}") for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(each, look_up, f"{at}[{place}]") for place, each in enumerate(value)]
    return value


def _filled_text(text: str, look_up: _LookUp) -> JSON:
    named = _NAMED.findall(text)
    if text.count("${") != len(named):
        raise _Unfilled("a template is not closed: only ${item.key} is known")
    if _NAMED.fullmatch(text):
        return look_up(_keys(named[0]))
    return _NAMED.sub(lambda match: _as_text(match[1], look_up(_keys(match[1]))), text)


def _keys(name: str) -> tuple[str, ...]:
    match = _ITEM_KEY(name)
    if match is None:
        raise _Unfilled(f"${{{shown(name)}}} is no template: only ${{item.key}} is known")
    return tuple(match[1][1:].split("."))


def _look_up(item: Item | None, keys: tuple[str, ...]) -> JSON:
    value: JSON = item
    for key in keys:
        if not isinstance(value, Mapping) or key not in value:
            raise _Unfilled(f"the item has no {shown('.'.join(keys))}")
        value = value[key]
    return value


def _as_text(name: str, value: JSON) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return jcs.canonical(value).decode()
    raise _Unfilled(f"${{{shown(name)}}} is no text, number or truth value, so it must be the whole text")
