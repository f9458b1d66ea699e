"""The end of what a processor printed: bounded, and without its secrets."""

import base64
import json
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from services.executor.adapters.places.layout import RUN, SECRETS
from services.executor.adapters.places.marker import Marker
from theory.core.context import MAX_LOG_CHARACTERS

MAX_LOG_BYTES = MAX_LOG_CHARACTERS
_SPARE_BYTES = 4096
SHORTEST = 4
"""Shorter values are not searched for: they would blot out half of every log."""
BLOT = b"***"
_BREAKS = b"\r\n"
_NEXT_BYTE, _NEXT_UNIT = re.compile("(..)"), re.compile("(....)")
_TO_BASE64URL = bytes.maketrans(b"+/", b"-_")
WITHHELD = "the log is withheld: the secrets that had to be blotted out of it are gone"


class LogTail:
    """Keeps the last bytes of a stream of any length."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        self._kept += data[-MAX_LOG_BYTES - _SPARE_BYTES :]
        # A little more than is told, so that a secret at the cut is recognised.
        if len(self._kept) > 2 * (MAX_LOG_BYTES + _SPARE_BYTES):
            del self._kept[: -MAX_LOG_BYTES - _SPARE_BYTES]

    def text(self, secrets: Iterable[str] | None) -> str:
        """The end as text, at most `MAX_LOG_CHARACTERS`, each secret replaced by `***` in any form it may have.

        Where nobody knows the secrets any more (None), nothing of the log is told.
        """
        if secrets is None:
            return WITHHELD if self._kept else ""
        return _blotted(bytes(self._kept), secrets).decode("utf-8", "replace")[-MAX_LOG_CHARACTERS:]


def secrets_of(place: Path) -> list[str] | None:
    """The values that the processor of this place was given; None where they have gone, by a reboot for example."""
    run = place / RUN
    try:
        return [each.read_text("utf-8") for each in (run / SECRETS).iterdir()]
    except OSError:
        marker = Marker.read(place)
        given = marker is None or RUN in marker.mounts or run.is_symlink()
        return None if given else []


def _blotted(data: bytes, values: Iterable[str]) -> bytes:
    """`data` with `***` for every form of every value, whatever the case of its letters and the breaks of its lines."""
    forms = joined_forms(values)
    kept, end = bytearray(), 0
    for first, after in blots(data, forms):
        kept += data[end:first] + BLOT
        end = after
    return bytes(kept + data[end:])


def joined_forms(values: Iterable[str]) -> frozenset[bytes]:
    """What to search for in text without breaks and capitals."""
    forms = {joined(form) for value in values for form in _forms(value)}
    return frozenset(form for form in forms if len(form) >= SHORTEST)


def blots(data: bytes, forms: Collection[bytes]) -> list[tuple[int, int]]:
    """From where to where `data` holds one of the forms, in order; those that touch are one."""
    if not forms:
        return []
    text = joined(data)
    place = [at for at, each in enumerate(data) if each not in _BREAKS]
    spans = [(at, at + len(form)) for form in forms for at in _places(form, text)]
    # Of a longer log only the end was kept: it may begin within a form.
    spans.append((0, max(_begun_before(form, text) for form in forms)))
    found: list[tuple[int, int]] = []
    for first, after in sorted(spans):
        if first >= after:
            continue
        start, end = place[first], place[after - 1] + 1
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def joined(data: bytes) -> bytes:
    """Without breaks and capitals."""
    return data.translate(None, _BREAKS).lower()


def _places(form: bytes, text: bytes) -> Iterator[int]:
    at = text.find(form)
    while at >= 0:
        yield at
        at = text.find(form, at + 1)


def _begun_before(form: bytes, text: bytes) -> int:
    """How much of the end of `form` the text begins with."""
    sizes = range(min(len(form) - 1, len(text)), SHORTEST - 1, -1)
    return next((size for size in sizes if text.startswith(form[-size:])), 0)


def _forms(value: str) -> Iterator[bytes]:
    """The value as it is, and as the usual encodings have it; of those that may leave letters alone, both ways."""
    data = value.encode()
    yield from (data, data.strip(), data.hex().encode())
    yield from (quote(value, safe="").encode(), _NEXT_BYTE.sub(r"%\1", data.hex()).encode())
    yield from (json.dumps(value, ensure_ascii=ascii_only)[1:-1].encode() for ascii_only in (True, False))
    yield _NEXT_UNIT.sub(r"\\u\1", value.encode("utf-16-be").hex()).encode()
    for shift in range(3):
        # Base64 of a longer text that holds the value: three alignments, without the letters its neighbours decide.
        encoded = base64.b64encode(bytes(shift) + data)[4 if shift else 0 :].rstrip(b"=")[:-1]
        yield from (encoded, encoded.translate(_TO_BASE64URL))
