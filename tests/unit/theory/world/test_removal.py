"""Deleting what somebody hostile has left."""

import os
from pathlib import Path

import pytest

from services.executor.adapters.places import mount
from theory.world import removal
from theory.world.removal import remove_tree


def nest(root: Path, levels: int) -> None:
    """Directories in directories, deeper than any path may be long."""
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=at)
        deeper = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=at)
        os.close(at)
        at = deeper
    os.close(at)


def test_a_directory_that_is_not_there_is_fine(tmp_path: Path) -> None:
    remove_tree(tmp_path / "gone")


@pytest.mark.slow
def test_three_thousand_levels_are_removed(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    nest(tree, 3000)
    remove_tree(tree)
    assert list(tmp_path.iterdir()) == []


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_bytes(b"stays")
    tree = tmp_path / "tree"
    (tree / "folder").mkdir(parents=True)
    (tree / "link").symlink_to(kept)
    (tree / "folder" / "link").symlink_to(kept / "file")
    remove_tree(tree)
    assert (kept / "file").read_bytes() == b"stays"
    assert not tree.exists()


def test_closed_and_oddly_named_folders_are_removed(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    closed = tree / ".moved-0" / "a\nb" / os.fsdecode(b"\xff\xfe")
    closed.mkdir(parents=True)
    (closed / "-rf").touch()
    (tree / ".moved-1").touch()
    closed.chmod(0o000)
    (tree / ".moved-0").chmod(0o000)
    remove_tree(tree)
    assert not tree.exists()


def test_many_entries_are_removed_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "_AT_ONCE", 3)
    tree = tmp_path / "tree"
    for name in range(10):
        (tree / f"folder-{name}" / "in").mkdir(parents=True)
        (tree / f"file-{name}").touch()
    remove_tree(tree)
    assert not tree.exists()


def test_what_is_mounted_in_the_tree_is_left_alone(tmp_path: Path) -> None:
    if not mount.permitted(tmp_path):
        pytest.skip("this user may not mount")
    mounted = tmp_path / "tree" / "folder" / "mounted"
    mounted.mkdir(parents=True)
    mount.memory(mounted, size_bytes=4096, inodes=8, mode=0o700, owner=0)
    try:
        (mounted / "file").touch()
        with pytest.raises(OSError, match=r".*"):
            remove_tree(tmp_path / "tree")
        assert [each.name for point in mount.mounted_below(tmp_path) for each in point.iterdir()] == ["file"]
    finally:
        mount.unmount_below(tmp_path)
