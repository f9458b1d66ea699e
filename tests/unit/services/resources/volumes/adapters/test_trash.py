"""Deleting beside the caller what was removed."""

import logging
import threading
from pathlib import Path

import pytest

from services.resources.volumes.adapters import trash
from services.resources.volumes.adapters.trash import Trash, locked


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "trash"
    made.mkdir()
    return made


def settled() -> None:
    for thread in threading.enumerate():
        if thread.name == "volumes-trash":
            thread.join()


def a_tree(tmp_path: Path, name: str) -> Path:
    tree = tmp_path / name
    (tree / "folder").mkdir(parents=True)
    return tree


def test_what_is_taken_is_gone_at_once_and_deleted_soon(tmp_path: Path, folder: Path) -> None:
    bin_ = Trash(folder, tmp_path / "lock")
    with locked(tmp_path / "lock"):
        bin_.take(a_tree(tmp_path, "a"), "1")
        assert not (tmp_path / "a").exists()
        assert [each.name for each in folder.iterdir()] == ["1"]
    settled()
    assert list(folder.iterdir()) == []


def test_what_is_not_there_is_told(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Trash(folder, tmp_path / "lock").take(tmp_path / "nobody", "1")


def test_what_cannot_be_deleted_is_told_once_and_tried_again(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[str] = []

    def refuse(directory: Path) -> None:
        tried.append(directory.name)
        raise PermissionError(1, "Operation not permitted")

    bin_ = Trash(folder, tmp_path / "lock")
    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
        patched.setattr(trash, "remove_tree", refuse)
        bin_.take(a_tree(tmp_path, "a"), "1")
        settled()
        bin_.empty_soon()
        settled()
    assert tried == ["1", "1"]
    assert [record.message for record in caplog.records] == ["volumes.removal_stuck"]
    bin_.empty_soon()
    settled()
    assert list(folder.iterdir()) == []


def test_after_the_close_nothing_is_deleted(tmp_path: Path, folder: Path) -> None:
    bin_ = Trash(folder, tmp_path / "lock")
    bin_.close()
    bin_.take(a_tree(tmp_path, "a"), "1")
    settled()
    assert [each.name for each in folder.iterdir()] == ["1"]
