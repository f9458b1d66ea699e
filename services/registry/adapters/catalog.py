"""A catalog: a folder of YAML documents, one folder below it for each kind."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from services.registry.ports import CatalogDocument
from theory.core.errors import Invalid, NotFound
from theory.core.jcs import JSON
from theory.core.registry import SpecDraft
from theory.sdk import strict_yaml
from theory.sdk.catalog import KIND_BY_FOLDER

BUNDLED = Path(__file__).parents[1] / "catalog"
"""What ships with the registry."""


def read_catalog(folder: Path) -> Sequence[CatalogDocument]:
    """Every document below `folder`, in the order of their paths.

    `NotFound` (`FILE_UNKNOWN`) where the folder is missing; `Invalid` with `source`: `YAML_INVALID` for a file that is
    no strict YAML, `SPEC_INVALID` for one that is no mapping or stands in no folder of a kind. None is passed over.
    """
    if not folder.is_dir():
        raise NotFound("FILE_UNKNOWN", "there is no such catalog", source=str(folder))
    return list(_files(folder))


def _files(folder: Path) -> Iterator[CatalogDocument]:
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        inside = path.relative_to(folder)
        source = str(folder.name / inside)
        kind = KIND_BY_FOLDER.get(inside.parts[0])
        if kind is None or path.suffix != ".yaml":
            known = ", ".join(KIND_BY_FOLDER)
            raise _misplaced(source, f"a catalog holds .yaml files in folders named {known}")
        yield CatalogDocument(
            source, SpecDraft(kind, _mapping(strict_yaml.load(path.read_bytes(), source=source), source))
        )


def _mapping(value: JSON, source: str) -> Mapping[str, JSON]:
    if not isinstance(value, Mapping):
        raise _misplaced(source, "a document is a mapping")
    return value


def _misplaced(source: str, sentence: str) -> Invalid:
    return Invalid("SPEC_INVALID", f"{source}: {sentence}", field="$", source=source)
