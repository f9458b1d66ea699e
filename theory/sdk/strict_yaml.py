"""YAML without its surprises: the one reader of plans and registry documents, which takes far less than YAML allows."""

import math
import re
from collections.abc import Iterator
from typing import Protocol

import yaml

from theory.core.errors import Invalid, shown
from theory.core.jcs import EXPONENT_FROM, JSON, MAX_SAFE_INTEGER

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
"""How deep mappings and lists may nest."""


def load(text: bytes | str, *, source: str) -> JSON:
    """The value of the one document in `text`, made of plain dicts, lists, strings, numbers, booleans and None.

    Scalars without quotes are read by the core schema of YAML 1.2, and with fewer numbers: `no`, `012`, `12:30:45` and
    dates are strings. `Invalid` (`YAML_INVALID`) with `source`, `line` and `column`, both from 1: anchors, aliases,
    tags, directives, merge keys, keys that are no text or occur twice, a second document, tabs and other control
    characters, numbers that JSON cannot hold exactly, more than `MAX_BYTES` or `MAX_DEPTH`, and what is no YAML.
    """
    decoded = _decoded(text, source)
    loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    return _Reader(yaml.parse(decoded, Loader=loader), decoded, source).document()


class _Reader:
    """Builds the value from parser events, so that nothing is resolved before it was judged."""

    def __init__(self, events: Iterator[yaml.Event], text: str, source: str) -> None:
        self._events = events
        self._text = text
        self._source = source

    def document(self) -> JSON:
        self._next()  # the stream starts
        start = self._next()
        if not isinstance(start, yaml.DocumentStartEvent):
            raise self._refusal("there is no document", start.start_mark)
        if start.start_mark and self._text.startswith("%", start.start_mark.index):
            raise self._refusal("directives are refused: begin with the document itself", start.start_mark)
        value = self._value(self._next(), 0)
        self._next()  # the document ends
        end = self._next()
        if not isinstance(end, yaml.StreamEndEvent):
            raise self._refusal("one file holds one document", end.start_mark)
        return value

    def _value(self, event: yaml.Event, depth: int) -> JSON:
        if isinstance(event, yaml.AliasEvent):
            raise self._refusal("aliases are refused: write the value out", event.start_mark)
        if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            raise self._refusal("a value is expected", event.start_mark)
        if event.anchor is not None:
            raise self._refusal("anchors are refused: write the value out", event.start_mark)
        if event.tag is not None:
            raise self._refusal("tags are refused", event.start_mark)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if depth == MAX_DEPTH:
            raise self._refusal(f"mappings and lists nest deeper than {MAX_DEPTH}", event.start_mark)
        return self._mapping(depth + 1) if isinstance(event, yaml.MappingStartEvent) else self._list(depth + 1)

    def _mapping(self, depth: int) -> dict[str, JSON]:
        value: dict[str, JSON] = {}
        mark_by_key: dict[str, _Mark | None] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event, depth)
            if key in value:
                first, _ = _place_of(mark_by_key[key])
                raise self._refusal(f"the key {shown(key)!r} occurs twice, first in line {first}", event.start_mark)
            mark_by_key[key] = event.start_mark
            value[key] = self._value(self._next(), depth)
        return value

    def _list(self, depth: int) -> list[JSON]:
        value: list[JSON] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            value.append(self._value(event, depth))
        return value

    def _key(self, event: yaml.Event, depth: int) -> str:
        if isinstance(event, yaml.CollectionStartEvent):
            raise self._refusal("a key is text, not a mapping or a list", event.start_mark)
        key = self._value(event, depth)
        if not isinstance(key, str):
            raise self._refusal("a key is text: put this one in quotes", event.start_mark)
        if key == "<<" and isinstance(event, yaml.ScalarEvent) and event.implicit[0]:
            raise self._refusal("merge keys are refused: write the fields out", event.start_mark)
        return key

    def _scalar(self, event: yaml.ScalarEvent) -> JSON:
        text: str = event.value
        if _UNREADABLE_WHEN_ESCAPED(text):
            raise self._refusal("text holds a NUL or half a surrogate pair", event.start_mark)
        if not event.implicit[0]:  # in quotes, or a block
            return text
        if text in _VALUE_BY_WORD:
            return _VALUE_BY_WORD[text]
        number = _number(text)
        if number is None:
            return text
        if not math.isfinite(number):
            raise self._refusal("JSON has no infinity, no NaN and no such number: put it in quotes", event.start_mark)
        if _unsafe(number):
            raise self._refusal("an integer is beyond 2^53-1: put it in quotes", event.start_mark)
        return number

    def _next(self) -> yaml.Event:
        try:
            return next(self._events)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise self._refusal(f"this is no YAML: {error.problem or error.context}", mark) from None
        except (yaml.YAMLError, ValueError, OverflowError):  # an escape of what is no character, for one
            raise self._refusal("this is no YAML", None) from None

    def _refusal(self, sentence: str, mark: "_Mark | None") -> Invalid:
        return _invalid(sentence, self._source, *_place_of(mark))


class _Mark(Protocol):
    """What the two implementations of PyYAML's marks have in common."""

    @property
    def line(self) -> int: ...

    @property
    def column(self) -> int: ...


_VALUE_BY_WORD = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# A number with a leading zero is octal to one reader and decimal to the next: it stays a string.
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)").fullmatch
_OCTAL = re.compile(r"0o[0-7]+").fullmatch
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+").fullmatch
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?").fullmatch
_NO_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)").fullmatch
_MOST_DIGITS = 20


def _number(text: str) -> int | float | None:
    """The number that `text` spells, infinite for one that nothing holds; None where it is no number."""
    if text[0] not in "+-.0123456789":
        return None
    base = 10 if _INTEGER(text) else 8 if _OCTAL(text) else 16 if _HEXADECIMAL(text) else 0
    if base:
        # int() of a megabyte of digits is never asked for.
        return int(text, base) if len(text) <= _MOST_DIGITS else MAX_SAFE_INTEGER + 1
    if _FLOAT(text):
        return float(text)
    return math.inf if _NO_NUMBER(text) else None


def _unsafe(number: float) -> bool:
    """Whether it is an integer beyond 2^53-1, if only to whoever reads the canonical JSON of it."""
    return abs(number) > MAX_SAFE_INTEGER and (isinstance(number, int) or abs(number) < EXPONENT_FROM)


# What is refused wherever it stands: controls, line breaks that only some readers see, what turns the direction of
# text around so that people read something else, half surrogate pairs, byte order marks, a CR that ends no line.
_REFUSED = re.compile(
    "[^\n\r\x20-\x7e\xa0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|\r(?!\n)"
).search
_UNREADABLE_WHEN_ESCAPED = re.compile("[\x00\ud800-\udfff]").search
_NAME_BY_CHARACTER = {"\t": "a tab", "\0": "a NUL", "\ufeff": "a byte order mark", "\r": "a carriage return alone"}


def _decoded(text: bytes | str, source: str) -> str:
    if len(text) > MAX_BYTES:
        raise _too_long(source)
    decoded = text if isinstance(text, str) else _utf8(text, source)
    if match := _REFUSED(decoded):
        name = _NAME_BY_CHARACTER.get(match[0]) or f"the character U+{ord(match[0]):04X}"
        advice = ": indent with spaces" if match[0] == "\t" else ""
        raise _invalid(f"{name} is refused{advice}", source, *_place(decoded, match.start()))
    if len(decoded.encode()) > MAX_BYTES:
        raise _too_long(source)
    return decoded


def _utf8(data: bytes, source: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        raise _invalid("the text is not UTF-8", source, *_place(before, len(before))) from None


def _place_of(mark: _Mark | None) -> tuple[int, int]:
    return (1, 1) if mark is None else (mark.line + 1, mark.column + 1)


def _place(text: str, index: int) -> tuple[int, int]:
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


def _too_long(source: str) -> Invalid:
    return _invalid(f"the text is longer than {MAX_BYTES} bytes", source, 1, 1)


def _invalid(sentence: str, source: str, line: int, column: int) -> Invalid:
    return Invalid("YAML_INVALID", sentence, source=shown(source), line=str(line), column=str(column))
