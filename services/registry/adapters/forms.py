"""The forms of documents: one JSON Schema for each kind, in files that ship with the registry."""

from collections.abc import Mapping
from pathlib import Path

from theory.core import jcs
from theory.core.jcs import JSON
from theory.core.refs import SpecKind

_FOLDER = Path(__file__).parents[1] / "forms"


def read_forms() -> Mapping[SpecKind, Mapping[str, JSON]]:
    """The form of every kind."""
    return {kind: jcs.parse_object((_FOLDER / f"{kind}.json").read_bytes()) for kind in SpecKind}
