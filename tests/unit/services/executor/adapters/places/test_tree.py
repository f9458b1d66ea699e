"""The output tree: order, limits, changes. What is hostile in it is in tests/hostile."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.executor.adapters.places.beneath import best
from services.executor.adapters.places.tree import OutputTree, TreeLimits
from services.executor.adapters.threads import Threads
from tests.unit.services.executor.adapters.places.conftest import descriptors
from theory.core.errors import Invalid

LIMITS = TreeLimits(max_bytes=1000, max_files=5)


@pytest.fixture
async def threads() -> AsyncIterator[Threads]:
    pool = Threads("test", 2)
    yield pool
    pool.close()


@pytest.fixture
async def tree(tmp_path: Path, threads: Threads) -> AsyncIterator[OutputTree]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield OutputTree(descriptor, LIMITS, best(), threads)
    os.close(descriptor)


async def _read(tree: OutputTree) -> list[tuple[str, bytes, int]]:
    return [(each.relative, each.file.read(), each.size_bytes) async for each in tree.files()]


def _write(root: Path, relative: str, data: bytes = b"") -> None:
    path = root / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


async def test_an_empty_tree_has_no_files(tree: OutputTree, tmp_path: Path) -> None:
    (tmp_path / "artifacts" / "empty").mkdir(parents=True)
    assert await _read(tree) == []


async def test_files_come_in_order_of_their_whole_names(tree: OutputTree, tmp_path: Path) -> None:
    for relative in ("result.json", "artifacts/b", "artifacts/a/z", "artifacts/a.txt", "artifacts/a-b/c"):
        _write(tmp_path, relative, relative.encode())
    names = sorted(["result.json", "artifacts/b", "artifacts/a/z", "artifacts/a.txt", "artifacts/a-b/c"])
    assert await _read(tree) == [(name, name.encode(), len(name)) for name in names]


async def test_the_limits_themselves_are_allowed(tree: OutputTree, tmp_path: Path) -> None:
    for number in range(5):
        _write(tmp_path, f"artifacts/{number}/f", bytes(200))
    _write(tmp_path, "result.json")
    assert len(await _read(tree)) == 6


@pytest.mark.parametrize(
    ("files", "size", "rule"), [(7, 0, "too_many_files"), (1, 1001, "too_large"), (4, 251, "too_large")]
)
async def test_more_than_the_limits_is_refused_before_anything_is_handed_out(
    tree: OutputTree, tmp_path: Path, files: int, size: int, rule: str
) -> None:
    for number in range(files):
        _write(tmp_path, f"artifacts/{number}", bytes(size))
    with pytest.raises(Invalid) as caught:
        await anext(aiter(tree.files()))
    assert (caught.value.reason, caught.value.metadata["rule"]) == ("OUTPUT_REFUSED", rule)


@pytest.mark.parametrize("change", ["append", "same size", "replace", "remove"])
async def test_a_file_that_changes_while_it_is_read_is_refused(tree: OutputTree, tmp_path: Path, change: str) -> None:
    _write(tmp_path, "artifacts/a", b"before")
    _write(tmp_path, "artifacts/b", b"next")
    files = aiter(tree.files())
    first = await anext(files)
    first.file.read()
    target = tmp_path / "artifacts" / "a"
    match change:
        case "append":
            target.write_bytes(b"before and after")
        case "same size":
            target.write_bytes(b"after!")
        case "replace":
            (tmp_path / "other").write_bytes(b"before")
            (tmp_path / "other").replace(target)
        case _:
            target.unlink()
    with pytest.raises(Invalid) as caught:
        await anext(files)
    assert caught.value.metadata == {"path": "artifacts/a", "rule": "changed"}


async def test_a_file_that_changes_before_its_turn_is_refused(tree: OutputTree, tmp_path: Path) -> None:
    _write(tmp_path, "artifacts/a", b"1")
    _write(tmp_path, "artifacts/b", b"2")
    files = aiter(tree.files())
    await anext(files)
    (tmp_path / "artifacts" / "b").write_bytes(b"3")
    with pytest.raises(Invalid) as caught:
        await anext(files)
    assert caught.value.metadata == {"path": "artifacts/b", "rule": "changed"}


async def test_whoever_reads_may_close_the_file(tree: OutputTree, tmp_path: Path) -> None:
    _write(tmp_path, "artifacts/a", b"1")
    async for each in tree.files():
        each.file.close()


async def test_nothing_stays_open_after_a_stop_half_way(tree: OutputTree, tmp_path: Path) -> None:
    _write(tmp_path, "artifacts/a", b"1")
    before = descriptors()
    files = tree.files()
    each = await anext(files)
    await files.aclose()  # type: ignore[attr-defined]  # it is a generator, which the port does not promise
    assert each.file.closed
    assert descriptors() == before
