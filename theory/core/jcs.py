"""JSON: the canonical bytes of RFC 8785, and the strict reader that is the only entrance of JSON text."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, NoReturn, TypeAlias

import orjson
import rfc8785

from theory.core.errors import Invalid, shown

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"
"""A JSON value that is only read. What `parse` returns is made of plain dicts and lists."""

MAX_DEPTH = 64
"""How deep objects and arrays may nest."""
MAX_SAFE_INTEGER = 2**53 - 1
"""Integers beyond it are not the same in every language: write them as strings."""
EXPONENT_FROM = 1e21
"""Below it RFC 8785 writes a float without a fraction with the digits of an integer, which is then read as one."""
MAX_BYTES = 8 * 1024 * 1024
"""What `parse` reads unless its caller says less or more."""

_OPTIONS = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
)
_SURROGATE = re.compile(r"[\ud800-\udfff]").search
_SAFE_DIGITS = 17
_PLAIN_FROM, _PLAIN_BELOW = 1e-5, 1e15


class _Rule(NamedTuple):
    """What is broken, in one word for machines and in a sentence for people."""

    word: str
    sentence: str


_TOO_DEEP = _Rule("depth", f"objects and arrays nest deeper than {MAX_DEPTH}, counted with what holds them")
_HALF_PAIR = _Rule("surrogate", "a string holds half a surrogate pair")
_UNSAFE = _Rule("safe_integer", "a whole number is beyond 2^53-1: write it as a string")
_NOT_FINITE = _Rule("finite", "JSON has no infinity and no NaN")
_NOT_EXACT = _Rule("float", "a float is not exact: write an integer of a smaller unit, or a string")
_NO_TEXT_KEY = _Rule("key", "object keys are strings")
_KEY_TWICE = _Rule("duplicate_key", "a key occurs twice in one object")
_NO_OBJECT = _Rule("object", "an object is expected")
_NO_UTF8 = _Rule("utf8", "the text is not UTF-8")


def canonical(value: object, *, floats: bool = True, within: int = 0) -> bytes:
    """The one canonical text of `value`, which is made of dicts, lists, tuples, strings, numbers, booleans and None.

    `Invalid` (`JSON_INVALID`) with `at` and `rule` where JSON has no such value (NaN, bytes, a key that is no string),
    where languages would differ (a number whose digits are those of an integer beyond 2^53-1, half a surrogate pair),
    or where it nests deeper than `MAX_DEPTH`. So `parse` reads whatever this writes.
    With `floats=False` every float is refused as well: for what is hashed for ever. `within` objects will stand around
    the text: it nests that much less, so that what holds it can be read, too.
    """
    depth = MAX_DEPTH - within
    if _plain(value, depth, floats=floats):
        try:
            return orjson.dumps(value, option=_OPTIONS)
        except orjson.JSONEncodeError as error:
            # Half a surrogate pair, the one thing that is not looked for beforehand.
            raise _invalid(*(_fault(value, depth, floats=floats) or ("$", _HALF_PAIR))) from error
    if fault := _fault(value, depth, floats=floats):
        raise _invalid(*fault)
    return rfc8785.dumps(value)  # type: ignore[arg-type]  # the line above proved it


def parse(text: bytes | str, *, max_bytes: int = MAX_BYTES) -> JSON:
    """The value that `text` spells, if every reader in every language would read the same.

    `Invalid` (`JSON_INVALID`) with `at` and `rule`: not UTF-8, a byte order mark, duplicate keys, NaN and infinities,
    numbers out of range, integers beyond 2^53-1, half a surrogate pair, nesting deeper than `MAX_DEPTH`, more than
    `max_bytes`.
    """
    if type(text) is bytes and (known := already_canonical(text, max_bytes=max_bytes)) is not None:
        return known
    decoded = _decoded(text, max_bytes)
    try:
        value: JSON = _DECODER.decode(decoded)
    except RecursionError:
        raise _invalid("$", _TOO_DEEP) from None
    except json.JSONDecodeError as error:
        raise _invalid(f"line {error.lineno} column {error.colno}", _Rule("syntax", error.msg)) from None
    # Only an escape can spell half a surrogate pair, and only brackets nest.
    suspicious = "\\u" in decoded or decoded.count("[") + decoded.count("{") > MAX_DEPTH
    if suspicious and (fault := _fault(value, MAX_DEPTH, floats=True)):
        raise _invalid(*fault)
    return value


def parse_object(text: bytes | str, *, max_bytes: int = MAX_BYTES) -> dict[str, JSON]:
    """`parse`, for text whose value must be an object."""
    value = parse(text, max_bytes=max_bytes)
    if not isinstance(value, dict):
        raise _invalid("$", _NO_OBJECT)
    return value


def already_canonical(
    text: bytes, *, max_bytes: int = MAX_BYTES, floats: bool = True, within: int = 0
) -> dict[str, JSON] | None:
    """The object that `text` spells in its one canonical form: nothing in it can be said twice or read two ways.

    Then `canonical` of it, with the same `floats` and `within`, is `text`. Most of what services read was written by
    that, and this takes a quarter of the time of reading. None says nothing: the text may be sound and longer to judge.
    """
    if len(text) > max_bytes:
        return None
    try:
        value: JSON = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if type(value) is not dict or not _plain(value, MAX_DEPTH - within, floats=floats):
        return None
    return value if orjson.dumps(value, option=_OPTIONS) == text else None


def _plain(value: object, depth: int, *, floats: bool) -> bool:
    """Whether orjson's sorted text is RFC 8785's.

    Keys are ASCII, so that sorting by UTF-8 is sorting by UTF-16; floats are of the class that both print alike. The
    loops are spelled out because `all()` over a generator costs half as much again.
    """
    if type(value) is str or type(value) is bool or value is None:
        return True
    if type(value) is int:
        return -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER
    if type(value) is dict:
        for key, item in value.items():
            if not depth or type(key) is not str or not key.isascii() or not _plain(item, depth - 1, floats=floats):
                return False
        return depth > 0
    if type(value) is list or type(value) is tuple:
        for item in value:
            if not depth or not _plain(item, depth - 1, floats=floats):
                return False
        return depth > 0
    return type(value) is float and floats and _PLAIN_FROM <= abs(value) < _PLAIN_BELOW and not value.is_integer()


def _fault(value: object, depth: int, *, floats: bool) -> tuple[str, _Rule] | None:
    """Where `value` first holds what is no JSON, as `$.key[0]`, and why; None if it holds nothing such.

    `depth` is how deep it may nest.
    """
    if isinstance(value, dict | list | tuple):
        return _fault_inside(value, depth - 1, floats=floats) if depth else ("$", _TOO_DEEP)
    broken = _broken_by_scalar(value, floats=floats)
    return ("$", broken) if broken else None


def _fault_inside(
    value: dict[object, object] | list[object] | tuple[object, ...], depth: int, *, floats: bool
) -> tuple[str, _Rule] | None:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                return "$", _NO_TEXT_KEY
            if _SURROGATE(key):
                return "$", _HALF_PAIR
            if fault := _fault(item, depth, floats=floats):
                return f"$.{key}{fault[0][1:]}", fault[1]
        return None
    for index, item in enumerate(value):
        if fault := _fault(item, depth, floats=floats):
            return f"$[{index}]{fault[0][1:]}", fault[1]
    return None


def _broken_by_scalar(value: object, *, floats: bool) -> _Rule | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return _HALF_PAIR if _SURROGATE(value) else None
    if isinstance(value, int):
        return None if -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER else _UNSAFE
    if isinstance(value, float):
        return _broken_by_float(value) or (None if floats else _NOT_EXACT)
    return _Rule("type", f"JSON has no {type(value).__name__}")


def _broken_by_float(value: float) -> _Rule | None:
    if not math.isfinite(value):
        return _NOT_FINITE
    return _UNSAFE if value.is_integer() and MAX_SAFE_INTEGER < abs(value) < EXPONENT_FROM else None


def _decoded(text: bytes | str, max_bytes: int) -> str:
    try:
        # json.loads would guess UTF-16 and swallow a byte order mark.
        data = text.encode() if isinstance(text, str) else text
        decoded = data.decode() if isinstance(text, bytes) else text
    except UnicodeError:
        raise _invalid("$", _NO_UTF8) from None
    if len(data) > max_bytes:
        raise _invalid("$", _Rule("size", f"the text is longer than {max_bytes} bytes"))
    return decoded


def _object(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _invalid(f"$..{twice}", _KEY_TWICE)
    return value


def _safe_integer(digits: str) -> int:
    # Seventeen characters hold every safe integer: int() of a megabyte of digits is never asked for.
    if len(digits) > _SAFE_DIGITS or abs(value := int(digits)) > MAX_SAFE_INTEGER:
        raise _invalid(shown(digits), _UNSAFE)
    return value


def _sound_float(digits: str) -> float:
    value = float(digits)
    if broken := _broken_by_float(value):
        raise _invalid(shown(digits), broken)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise _invalid(name, _NOT_FINITE)


def _invalid(at: str, rule: _Rule) -> Invalid:
    return Invalid("JSON_INVALID", rule.sentence, at=shown(at), rule=rule.word)


# Made once: json.loads makes one for every text.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_safe_integer, parse_float=_sound_float, parse_constant=_refuse_constant
)
