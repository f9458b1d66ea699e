"""How amounts, times and foreign text are written for people."""

import unicodedata
from datetime import datetime

_KILO = 1000
_MICRO = 1_000_000
_MINUTE_S = 60
_HOUR_S = 3600


def usd(micro: int) -> str:
    """Micro-dollars as dollars: two decimals at least, and no more than say something."""
    whole, rest = divmod(abs(micro), _MICRO)
    decimals = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{'-' if micro < 0 else ''}${whole}.{decimals}"


def size(count: int) -> str:
    """Bytes in decimal units, three digits of them."""
    amount, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if round(amount) < _KILO:
            break
        amount, unit = amount / _KILO, larger
    digits = 0 if unit == "B" or amount >= 100 else 1 if amount >= 10 else 2  # noqa: PLR2004 - three digits
    return f"{amount:.{digits}f} {unit}"


def duration(seconds: float) -> str:
    """A stretch of time: `0.42 s`, `7.1 s`, `2 min 05 s`, `3 h 07 min`."""
    if seconds < 1:
        return f"{max(seconds, 0):.2f} s"
    if seconds < _MINUTE_S:
        return f"{seconds:.1f} s"
    if seconds < _HOUR_S:
        return f"{int(seconds) // _MINUTE_S} min {int(seconds) % _MINUTE_S:02d} s"
    return f"{int(seconds) // _HOUR_S} h {int(seconds) % _HOUR_S // _MINUTE_S:02d} min"


def between(start: datetime | None, end: datetime | None) -> str:
    """The time from `start` to `end`; empty where one is not known."""
    return "" if start is None or end is None else duration((end - start).total_seconds())


def moment(time: datetime) -> str:
    """A time to the second, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S")


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 file`, `2 files`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}".replace(",", " ")


def some(items: list[str] | tuple[str, ...], at_most: int) -> str:
    """The first items, and how many more there are."""
    more = len(items) - at_most
    return ", ".join(items[:at_most]) + (f" and {more} more" if more > 0 else "")


def clean(text: str) -> str:
    """Text of others as it may go to a terminal: nothing in it moves the cursor or turns the writing round."""
    return "".join(each if each.isprintable() or each in "\n\t" else "\N{REPLACEMENT CHARACTER}" for each in text)


def line(text: str) -> str:
    """`clean`, in one line."""
    return " ".join(clean(text).split())


def width(text: str) -> int:
    """How many columns a terminal gives it."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF") for each in text)


def cut(text: str, columns: int) -> str:
    """`text`, no wider than that; an ellipsis says what was left out."""
    if width(text) <= columns:
        return text
    while width(text) > columns - 1:
        text = text[:-1]
    return f"{text}…"
