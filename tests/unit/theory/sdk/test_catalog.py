"""Reading a folder of documents to publish."""

from pathlib import Path

import pytest

from theory.core.errors import Invalid, NotFound
from theory.core.refs import SpecKind
from theory.sdk.catalog import read_catalog


def _write(folder: Path, name: str, text: str = "id: a@1\n") -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_kind_is_the_folder_and_other_files_are_passed_over(tmp_path: Path) -> None:
    _write(tmp_path, "processors/media/probe.yaml", "ref: media/probe@1\n")
    _write(tmp_path, "schemas/a.yml")
    _write(tmp_path, "README.md", "no document")
    found = read_catalog(tmp_path)
    assert [(each.source.name, each.draft.kind) for each in found] == [
        ("probe.yaml", SpecKind.TOOLS),
        ("a.yml", SpecKind.SCHEMAS),
    ]
    assert found[0].draft.document == {"ref": "media/probe@1"}


@pytest.mark.parametrize("name", ["things/a.yaml", "a.yaml"])
def test_a_document_in_no_folder_of_a_kind_is_refused(tmp_path: Path, name: str) -> None:
    _write(tmp_path, name)
    with pytest.raises(Invalid, match="stands in none") as caught:
        read_catalog(tmp_path)
    assert caught.value.metadata["source"].endswith("a.yaml")


def test_a_document_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, "schemas/a.yaml", "- 1\n")
    with pytest.raises(Invalid, match="mapping"):
        read_catalog(tmp_path)


def test_broken_yaml_is_refused_with_its_place(tmp_path: Path) -> None:
    _write(tmp_path, "schemas/a.yaml", "id: &x a@1\n")
    with pytest.raises(Invalid) as caught:
        read_catalog(tmp_path)
    assert (caught.value.reason, caught.value.metadata["line"]) == ("YAML_INVALID", "1")


@pytest.mark.parametrize("name", ["", "missing"])
def test_a_folder_without_documents_is_not_found(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFound) as caught:
        read_catalog(tmp_path / name)
    assert caught.value.reason == "FILE_UNKNOWN"
