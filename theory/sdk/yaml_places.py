"""Where a field that an error names stands in a YAML text: people edit lines, not paths."""

import re
from typing import TypeAlias

import yaml

_ROOT = "$"
_INDEX = re.compile(r"\[([0-9]+)\]").match

_Step: TypeAlias = tuple[yaml.Node, yaml.Node, str]
"""What marks the place, what stands there, and what is left of the path."""


def place_of(field: str, text: bytes) -> tuple[int, int]:
    """Line and column, from 1, of a field such as `transitions[2].needs[0]`; of its holder where it is not there.

    For texts that `strict_yaml.load` takes: nothing in them stands for something else, and none is deep or large.
    """
    loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    mark = node = yaml.compose(text, Loader=loader)
    rest = "" if field == _ROOT else field
    while node is not None and (step := _step(node, rest)) is not None:
        mark, node, rest = step
    return (1, 1) if mark is None else (mark.start_mark.line + 1, mark.start_mark.column + 1)


def _step(node: yaml.Node, rest: str) -> _Step | None:
    """One step along the path; None where it ends, or leads nowhere."""
    if isinstance(node, yaml.SequenceNode) and (match := _INDEX(rest)) and int(match[1]) < len(node.value):
        item = node.value[int(match[1])]
        return item, item, rest[match.end() :]
    if not isinstance(node, yaml.MappingNode):
        return None
    rest = rest.removeprefix(".")
    # A key may hold dots, as paths do: the longest that fits is meant.
    fitting = [(key, value) for key, value in node.value if _begins(rest, key.value)]
    if not fitting:
        return None
    key, value = max(fitting, key=lambda each: len(each[0].value))
    return key, value, rest[len(key.value) :]


def _begins(path: str, name: str) -> bool:
    return bool(name) and path.startswith(name) and path[len(name) :][:1] in {"", ".", "["}
