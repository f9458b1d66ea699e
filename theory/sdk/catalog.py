"""A catalog of one's own: a folder of YAML documents, one folder below it for each kind, to be published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from theory.core.errors import Invalid, NotFound, shown
from theory.core.refs import SpecKind
from theory.core.registry import SpecDraft
from theory.sdk import strict_yaml

KIND_BY_FOLDER: Mapping[str, SpecKind] = {
    "policies": SpecKind.POLICIES,
    "predicates": SpecKind.PREDICATES,
    "processors": SpecKind.TOOLS,
    "prompts": SpecKind.PROMPTS,
    "schemas": SpecKind.SCHEMAS,
}
_SUFFIXES = frozenset({".yaml", ".yml"})


@dataclass(frozen=True, slots=True)
class CatalogFile:
    """One document of a catalog, and where it stands."""

    source: Path
    draft: SpecDraft


def read_catalog(folder: Path) -> Sequence[CatalogFile]:
    """Every YAML document below `folder`, in the order of their paths; other files are passed over.

    `NotFound` (`FILE_UNKNOWN`) with `source` where there is no folder, or no document in it; `Invalid` with `source`:
    `YAML_INVALID`, or `SPEC_INVALID` for a document that is no mapping, or that stands in no folder of a kind.
    """
    if not folder.is_dir():
        raise NotFound("FILE_UNKNOWN", f"there is no folder {folder}", source=shown(str(folder)))
    found = [_read(each, folder) for each in sorted(folder.rglob("*")) if each.suffix in _SUFFIXES and each.is_file()]
    if not found:
        raise NotFound("FILE_UNKNOWN", f"no YAML document is below {folder}", source=shown(str(folder)))
    return found


def _read(path: Path, folder: Path) -> CatalogFile:
    kind = KIND_BY_FOLDER.get(path.relative_to(folder).parts[0])
    if kind is None:
        message = f"documents stand in folders named {', '.join(KIND_BY_FOLDER)}; this one stands in none"
        raise Invalid("SPEC_INVALID", message, field="$", source=shown(str(path)))
    value = strict_yaml.load(path.read_bytes(), source=str(path))
    if not isinstance(value, Mapping):
        raise Invalid("SPEC_INVALID", "a document is a mapping", field="$", source=shown(str(path)))
    return CatalogFile(path, SpecDraft(kind, value))
