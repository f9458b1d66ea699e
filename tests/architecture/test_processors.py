"""A bundled processor is one folder that brings what it needs, and knows nothing of Theory but its SDK."""

import functools
import re
from importlib import metadata
from pathlib import Path

import pytest

from tests.architecture import tree

FOLDERS = sorted({path.parts[1] for path in tree.files() if path.parts[0] == "processors" and len(path.parts) > 2})
FILES = ("Dockerfile", "README.md", "processor.py", "requirements.txt")
FOLDER_NAME = re.compile(r"[a-z0-9]+(_[a-z0-9]+)+")
SDK = "theory.sdk.processor"


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_processor_has_its_four_files(folder: str) -> None:
    assert FOLDER_NAME.fullmatch(folder)
    assert [name for name in FILES if not (tree.ROOT / "processors" / folder / name).is_file()] == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_processor_imports_its_requirements_and_the_sdk_only(folder: str) -> None:
    sources = [path for path in tree.python_files("processors") if path.parts[1] == folder]
    own = {path.stem for path in sources}
    allowed = tree.STANDARD | own | _importable(folder)
    stray = [
        f"{path}:{line} {name}"
        for path in sources
        for line, name in tree.imports(path)
        if not tree.within(name, SDK) and name.partition(".")[0] not in allowed
    ]
    assert stray == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_requirements_of_a_processor_are_pinned_by_hash(folder: str) -> None:
    lines = _requirements(folder)
    assert [line for line in lines if "://" in line or line.startswith("-")] == []
    assert [line for line in lines if not line.startswith(" ") and "==" not in line] == []
    pins = sum(not line.startswith(" ") for line in lines)
    assert sum("--hash=sha256:" in line for line in lines) >= pins


def _requirements(folder: str) -> list[str]:
    text = Path(tree.ROOT, "processors", folder, "requirements.txt").read_text("utf-8")
    return [line for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def _importable(folder: str) -> set[str]:
    """The modules that the pinned packages bring; the group `processors` puts the same ones into our environment."""
    pinned = {_normal(line.partition("==")[0]) for line in _requirements(folder) if not line.startswith(" ")}
    return {module for module, packages in _packages_by_module().items() if pinned & set(map(_normal, packages))}


@functools.cache
def _packages_by_module() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.partition("[")[0].strip()).lower()
