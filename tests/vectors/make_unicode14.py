"""Writes unicode14.json, what the WorldPath grammar asks of Unicode, for SDKs whose Unicode is another, when it is run.

The permitted characters are those of `theory.core.world_characters`; the rest is what an interpreter with Unicode 14
says of them.
"""

import json
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from theory.core.world_characters import _RANGES

FILE = Path(__file__).with_name("unicode14.json")
VERSION = "14.0.0"
ABOUT = "See README.md beside this file. Ranges and numbers are hexadecimal, both ends included."
_LINE = 100
_HANGUL = range(0xAC00, 0xD7A4)


def text() -> str:
    """The file, tables wrapped. Needs an interpreter with that Unicode."""
    if unicodedata.unidata_version != VERSION:
        message = f"Unicode {VERSION} is needed, this is {unicodedata.unidata_version}"
        raise ValueError(message)
    permitted = list(_permitted())
    mapped = [each for each in permitted if _mapping(each)]
    tables = {
        "permitted": _ranges(permitted),
        "capitals": _ranges(filter(_capital, permitted)),
        "spaces": _ranges(each for each in permitted if not chr(each).strip()),
        "lookalikes": _ranges(filter(_lookalike, permitted)),
        "combining": _combining(permitted),
        "decompositions": [f"{each:x}:{_mapping(each)}" for each in mapped],
        "not_composed": _ranges(each for each in mapped if not _composed(each)),
    }
    lists = [f'  "{name}": [\n{_wrapped(table)}\n  ]' for name, table in tables.items()]
    return f'{{\n  "about": {json.dumps(ABOUT)},\n  "unicode": "{VERSION}",\n' + ",\n".join(lists) + "\n}\n"


def _permitted() -> Iterator[int]:
    for each in _RANGES.split():
        low, _, high = each.partition("-")
        yield from range(int(low, 16), int(high or low, 16) + 1)


def _mapping(number: int) -> str:
    """The canonical decomposition, one step of it. Those of Hangul are arithmetic."""
    mapping = unicodedata.decomposition(chr(number))
    if number in _HANGUL or mapping.startswith("<"):
        return ""
    return " ".join(f"{int(each, 16):x}" for each in mapping.split())


def _composed(number: int) -> bool:
    return unicodedata.is_normalized("NFC", chr(number))


def _capital(number: int) -> bool:
    return chr(number) != chr(number).lower() or unicodedata.category(chr(number)) in {"Lu", "Lt"}


def _lookalike(number: int) -> bool:
    return number > 0x7F and not set("/.%\\:").isdisjoint(unicodedata.normalize("NFKC", chr(number)))


def _combining(permitted: Iterable[int]) -> list[str]:
    by_class: dict[int, list[int]] = {}
    for each in permitted:
        if combining := unicodedata.combining(chr(each)):
            by_class.setdefault(combining, []).append(each)
    return [f"{each}:{combining}" for combining, numbers in sorted(by_class.items()) for each in _ranges(numbers)]


def _ranges(numbers: Iterable[int]) -> list[str]:
    found: list[list[int]] = []
    for each in numbers:
        if found and found[-1][1] == each - 1:
            found[-1][1] = each
        else:
            found.append([each, each])
    return [f"{low:x}" if low == high else f"{low:x}-{high:x}" for low, high in found]


def _wrapped(items: Iterable[str]) -> str:
    lines = [""]
    for each in items:
        if len(lines[-1]) > _LINE:
            lines.append("")
        lines[-1] += f'"{each}", '
    return "\n".join("    " + line.rstrip() for line in lines).rstrip(",")


if __name__ == "__main__":
    FILE.write_text(text(), encoding="ascii")
