"""Each bundled processor has exactly one catalog file, and each catalog file that builds an image has its processor."""

from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from tests.architecture import tree

CATALOG = ("services", "registry", "catalog", "processors")


def test_every_processor_is_in_the_catalog_once() -> None:
    folders = {path.parts[1] for path in tree.files() if path.parts[0] == "processors" and len(path.parts) > 2}
    assert Counter(_contexts()) == Counter(f"processors/{folder}" for folder in folders)


def test_a_folder_is_named_for_the_reference() -> None:
    mismatched = [
        str(path)
        for path in _catalog()
        for context in _contexts_of(path)
        if Path(context).name != _reference(path).partition("@")[0].replace("/", "_")
    ]
    assert mismatched == []


def _catalog() -> list[Path]:
    return [path for path in tree.files() if path.parts[:4] == CATALOG and path.suffix in {".yaml", ".yml"}]


def _contexts() -> list[str]:
    return [context for path in _catalog() for context in _contexts_of(path)]


def _contexts_of(path: Path) -> list[str]:
    build = _document(path).get("image", {}).get("build", {})
    return [build["context"].rstrip("/")] if "context" in build else []


def _reference(path: Path) -> str:
    return str(_document(path)["ref"])


def _document(path: Path) -> dict[str, Any]:
    document = yaml.safe_load((tree.ROOT / path).read_text("utf-8"))
    assert isinstance(document, dict), path
    return document
