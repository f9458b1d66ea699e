"""The note of an attempt that has ended and whose files have been fetched: its sandbox is not needed any more."""

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from theory.core import jcs
from theory.core.errors import TheoryError

_NOTE = ".fetched"


class Fetched(NamedTuple):
    """How it ended."""

    exit_code: int
    log_end: bytes
    finished_at: datetime

    @classmethod
    def read(cls, place: Path) -> "Fetched | None":
        """The note in this place; None where there is none."""
        path = place / _NOTE
        try:
            document, written = jcs.parse(path.read_bytes()), path.stat().st_mtime
        except (FileNotFoundError, TheoryError):
            return None
        match document:
            case {"code": int(code), "log": str(log)}:
                return cls(code, bytes.fromhex(log), datetime.fromtimestamp(written, UTC))
        return None

    @staticmethod
    def write(place: Path, exit_code: int, log_end: bytes) -> None:
        """Leave it, at once or not at all."""
        draft = place / f"{_NOTE}.draft"
        draft.write_bytes(jcs.canonical({"code": exit_code, "log": log_end.hex()}))
        draft.replace(place / _NOTE)
