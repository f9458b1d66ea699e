"""The end of what a processor printed: bounded, and without its secrets."""

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from services.executor.adapters.places.layout import RUN, SECRETS
from services.executor.adapters.places.marker import Marker
from theory.core.context import MAX_LOG_CHARACTERS

MAX_LOG_BYTES = MAX_LOG_CHARACTERS
_SPARE_BYTES = 4096
_SHORTEST = 4
"""Shorter values are not searched for: they would blot out half of every log."""
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
        text = self._kept.decode("utf-8", "replace")
        for form in sorted({form for value in secrets for form in _forms(value)}, key=len, reverse=True):
            text = text.replace(form, "***")
        return text[-MAX_LOG_CHARACTERS:]


def secrets_of(place: Path) -> list[str] | None:
    """The values that the processor of this place was given; None where they have gone, by a reboot for example."""
    run = place / RUN
    try:
        return [each.read_text("utf-8") for each in (run / SECRETS).iterdir()]
    except OSError:
        marker = Marker.read(place)
        given = marker is None or RUN in marker.mounts or run.is_symlink()
        return None if given else []


def _forms(value: str) -> Iterable[str]:
    data = value.encode()
    forms = [value, value.strip(), data.hex(), quote(value, safe=""), json.dumps(value)[1:-1]]
    for shift in range(3):
        # Base64 of a longer text that holds the value: three alignments, without the letters its neighbours decide.
        encoded = base64.b64encode(bytes(shift) + data).decode()
        forms.append(encoded[4 if shift else 0 :].rstrip("=")[:-1])
    return (form for form in forms if len(form) >= _SHORTEST)
