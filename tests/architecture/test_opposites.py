"""tests/unit mirrors the source tree, so that a reader of a module knows where its tests are."""

from pathlib import Path

from tests.architecture import tree

# Rooms whose promises are tested elsewhere, and where.
ELSEWHERE = {
    "__init__": "re-exports; whoever imports it",
    "__main__": "a process: tests/integration, tests/system",
    "access": "total over the descriptors: tests/contract",
    "adapters": "every promise, every adapter, over a socket: tests/conformance",
    "assembly": "a whole service per case: tests/conformance",
    "migrations": "on files and servers: tests/integration/test_migrations.py",
    "outbox_migrations": "as above",
    "plane": "over real HTTP: tests/integration/test_data_plane.py",
    "ports": "Protocols: no behaviour",
    "servicer": "over a socket: tests/conformance",
}
# The same, of single files or folders of the library.
ELSEWHERE_BY_PATH = {
    "services/embedded.py": "a process: tests/integration, tests/drills",
    "theory/cli": "as a process: tests/integration",
    "theory/core/adapters.py": "Protocols: no behaviour",
    "theory/core/binding.py": "values without rules; services/artifacts and theory/sdk use them",
    "theory/testing/cases": "run against every service: tests/conformance",
    "theory/wire/context.py": "two names; every servicer uses them",
}


def test_every_unit_test_stands_opposite_its_source() -> None:
    lonely = [
        str(path) for path in _unit_tests() if not any((tree.ROOT / source).is_file() for source in _sources(path))
    ]
    assert lonely == []


def test_every_source_with_rules_has_its_opposite() -> None:
    untested = [str(path) for path in tree.python_files("theory", "services") if _needs_opposite(path)]
    assert [path for path in untested if not (tree.ROOT / _opposite(Path(path))).is_file()] == []


def _unit_tests() -> list[Path]:
    return [path for path in tree.python_files("tests") if path.parts[1] == "unit" and path.name.startswith("test_")]


def _sources(test: Path) -> tuple[Path, Path]:
    """tests/unit/theory/core/test_cid.py -> theory/core/cid.py, or the package theory/core/cid/__init__.py."""
    stem = test.stem.removeprefix("test_")
    folder = Path(*test.parts[2:-1])
    return folder / f"{stem}.py", folder / stem / "__init__.py"


def _opposite(source: Path) -> Path:
    return Path("tests", "unit", *source.parts[:-1], f"test_{source.name}")


def _needs_opposite(source: Path) -> bool:
    if ELSEWHERE.keys() & set(source.with_suffix("").parts):
        return False
    return not any(source.is_relative_to(path) for path in ELSEWHERE_BY_PATH)
