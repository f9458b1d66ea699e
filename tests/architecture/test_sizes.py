"""Files stay small enough to be read whole."""

import statistics
from pathlib import Path

from tests.architecture import tree

SOURCE_LINES = 500
TEST_LINES = 600
MEDIAN_LINES = 150  # the aim is 120

# Path -> (lines allowed, "YYYY-MM-DD why"). An entry goes as soon as the file is within the limit again.
EXCEPTIONS: dict[str, tuple[int, str]] = {}


def test_no_file_is_longer_than_its_limit() -> None:
    long = [f"{path}: {lines}" for path, lines in _lengths() if lines > _limit(path)]
    assert long == []


def test_no_exception_outlives_its_need() -> None:
    by_name = {str(path): lines for path, lines in _lengths()}
    assert [
        name for name in EXCEPTIONS if by_name.get(name, 0) <= (TEST_LINES if _is_test(name) else SOURCE_LINES)
    ] == []


def test_the_median_source_file_is_short() -> None:
    lengths = [lines for path, lines in _lengths() if not _is_test(str(path)) and path.name != "__init__.py"]
    median = statistics.median(lengths)
    print(f"{len(lengths)} source files, median {median:g} lines, longest {max(lengths)}")  # noqa: T201 - shown by -s
    assert median <= MEDIAN_LINES


def _lengths() -> list[tuple[Path, int]]:
    written = tree.python_files("theory", "services", "processors", "deploy", "tests")
    return [(path, (tree.ROOT / path).read_bytes().count(b"\n")) for path in written]


def _limit(path: Path) -> int:
    allowed, _why = EXCEPTIONS.get(str(path), (TEST_LINES if _is_test(str(path)) else SOURCE_LINES, ""))
    return allowed


def _is_test(name: str) -> bool:
    return name.startswith("tests/")
