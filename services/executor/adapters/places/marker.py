"""The file that is written last into a place: that it is complete, and what it must hold to be so still."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from services.executor.adapters.places.layout import MARKER
from services.executor.adapters.places.tree import TreeLimits
from theory.core import jcs
from theory.core.errors import TheoryError
from theory.core.jcs import JSON


@dataclass(frozen=True, slots=True)
class Marker:
    """What is known of a complete place."""

    limits: TreeLimits
    mounts: frozenset[str]
    """The directories of the place that are mount points."""

    @classmethod
    def read(cls, directory: Path) -> Self | None:
        """The marker of a place; None where it was never completed."""
        try:
            document = jcs.parse((directory / MARKER).read_bytes())
        except (FileNotFoundError, NotADirectoryError, TheoryError):
            return None  # a power cut may tear it: then nothing of the place counts
        match document:
            case {"max_bytes": int(size), "max_files": int(files), "mounts": [*names]}:
                return cls(TreeLimits(size, files), frozenset(str(name) for name in names))
        return None

    def write(self, directory: Path) -> None:
        """Say that the place is complete, at once or not at all."""
        document: Mapping[str, JSON] = {
            "max_bytes": self.limits.max_bytes,
            "max_files": self.limits.max_files,
            "mounts": sorted(self.mounts),
        }
        draft = directory / f"{MARKER}.draft"
        draft.write_bytes(jcs.canonical(dict(document)))
        draft.replace(directory / MARKER)
