"""A catalog is read whole, strictly, and in one order."""

from pathlib import Path

import pytest

from services.registry.adapters.catalog import BUNDLED, read_catalog
from services.registry.adapters.forms import read_forms
from services.registry.domain.forms import Forms
from theory.core.errors import Invalid, NotFound, TheoryError
from theory.core.refs import SpecKind
from theory.sdk.catalog import KIND_BY_FOLDER


def test_every_kind_has_its_folder() -> None:
    assert set(KIND_BY_FOLDER.values()) == set(SpecKind)


def test_every_bundled_document_is_sound() -> None:
    forms = Forms(read_forms())
    documents = read_catalog(BUNDLED)
    names = [forms.judge(each.draft).name for each in documents]
    assert len(set(names)) == len(names) == len(list(BUNDLED.rglob("*.yaml")))


def test_every_kind_is_bundled() -> None:
    assert {each.draft.kind for each in read_catalog(BUNDLED)} == set(SpecKind)


def test_documents_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for name in ("schemas/b.yaml", "policies/z.yaml", "processors/x/y.yaml", "schemas/a.yaml"):
        _write(tmp_path / name, "id: a@1\n")
    found = read_catalog(tmp_path)
    folder = tmp_path.name
    assert [each.source for each in found] == [
        f"{folder}/policies/z.yaml",
        f"{folder}/processors/x/y.yaml",
        f"{folder}/schemas/a.yaml",
        f"{folder}/schemas/b.yaml",
    ]
    assert [each.draft.kind for each in found] == [
        SpecKind.POLICIES,
        SpecKind.TOOLS,
        SpecKind.SCHEMAS,
        SpecKind.SCHEMAS,
    ]


@pytest.mark.parametrize(
    "name", ["schemas/a.yml", "schemas/README.md", "plans/a.yaml", "a.yaml", "schemas/.a.yaml.swp"]
)
def test_a_file_that_is_no_document_is_not_passed_over(tmp_path: Path, name: str) -> None:
    _write(tmp_path / name, "id: a@1\n")
    error = _refused(tmp_path)
    assert (error.reason, error.metadata["source"]) == ("SPEC_INVALID", f"{tmp_path.name}/{name}")


def test_a_document_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    _write(tmp_path / "schemas/a.yaml", "- id: a@1\n")
    assert _refused(tmp_path).reason == "SPEC_INVALID"


def test_yaml_is_read_strictly(tmp_path: Path) -> None:
    _write(tmp_path / "schemas/a.yaml", "id: a@1\nid: a@2\n")
    error = _refused(tmp_path)
    assert error.reason == "YAML_INVALID"
    assert error.metadata == {"source": f"{tmp_path.name}/schemas/a.yaml", "line": "2", "column": "1"}


def test_an_empty_catalog_holds_nothing(tmp_path: Path) -> None:
    assert list(read_catalog(tmp_path)) == []


def test_a_catalog_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        read_catalog(tmp_path / "none")
    assert caught.value.metadata == {"source": str(tmp_path / "none")}


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")


def _refused(folder: Path) -> TheoryError:
    with pytest.raises(Invalid) as caught:
        read_catalog(folder)
    return caught.value
