"""A value that must not be found anywhere, and every form in which it would still be that value."""

import base64
import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import quote

_Forms = Iterator[bytes]


class Canary:
    """A secret of a test: random, with the characters that encodings treat differently.

    Whoever lets a half of it out has let it out: the halves are searched for, too.
    """

    def __init__(self) -> None:
        self.head, self.tail = secrets.token_hex(12), secrets.token_hex(12)
        # `?>` and `~` make base64 and base64url differ, the others need an escape in JSON, in URLs or in both.
        self.value = f'{self.head}?>~?>~"\\é€ &%{self.tail}'
        self._needles = {
            name: frozenset(form for part in (self.value, self.head, self.tail) for form in forms(part))
            for name, forms in ENCODINGS.items()
        }

    def __repr__(self) -> str:
        return "Canary()"  # also where an assertion fails

    def within(self, data: bytes | str) -> tuple[str, ...]:
        """The encodings in which it, or a half of it, stands in `data`."""
        # What is no text in UTF-8 came from bytes that were not, and goes back to them.
        searched = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
        return tuple(name for name, forms in self._needles.items() if any(each in searched for each in forms))


def _plain(text: str) -> _Forms:
    yield text.encode()


def _base64(text: str) -> _Forms:
    """In each of the three places it may have in a longer text, without the letters that its neighbours decide."""
    data = text.encode()
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data)
        yield encoded[-(-8 * before // 6) : 8 * (before + len(data)) // 6]


def _base64url(text: str) -> _Forms:
    for form in _base64(text):
        yield form.translate(bytes.maketrans(b"+/", b"-_"))


def _hex(text: str) -> _Forms:
    yield text.encode().hex().encode()
    yield text.encode().hex().upper().encode()


def _percent(text: str) -> _Forms:
    """What must be escaped, or all of it; in either case of the digits."""
    every = "".join(f"%{each:02x}" for each in text.encode())
    natural = quote(text, safe="")
    for form in (natural, re.sub("%..", lambda escape: escape[0].lower(), natural), every, every.upper()):
        yield form.encode()


def _json(text: str) -> _Forms:
    """What must be escaped, with and without letters beyond ASCII; or all of it, in either case of the digits."""
    yield json.dumps(text)[1:-1].encode()
    yield json.dumps(text, ensure_ascii=False)[1:-1].encode()
    for digits in ("04x", "04X"):
        yield "".join(f"\\u{format(ord(each), digits)}" for each in text).encode()


def _utf16(text: str) -> _Forms:
    yield text.encode("utf-16-le")
    yield text.encode("utf-16-be")


def _reversed(text: str) -> _Forms:
    yield text[::-1].encode()


ENCODINGS: Mapping[str, Callable[[str], _Forms]] = {
    "plain": _plain,
    "base64": _base64,
    "base64url": _base64url,
    "hex": _hex,
    "percent": _percent,
    "json": _json,
    "utf16": _utf16,
    "reversed": _reversed,
}
"""The six that are asked for, and two that cost nothing."""
