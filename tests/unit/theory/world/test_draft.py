"""Drafts: what becomes a blob, and who may delete what."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from theory.core.cid import Cid
from theory.core.errors import Corrupt, Exhausted
from theory.world.draft import Draft, sweep


@contextmanager
def _worded() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Exhausted("DISK_FULL", "worded") from error


def test_a_draft_becomes_a_blob_whose_marks_say_that_nobody_touched_it(tmp_path: Path) -> None:
    draft = Draft.new(tmp_path)
    draft.write(b"one")
    assert draft.keep_as(Cid.of(b"one"), tmp_path / "blob") == 3
    draft.discard()
    status = (tmp_path / "blob").stat()
    assert (status.st_mode & 0o777, status.st_mtime_ns) == (0o444, 0)
    assert [each.name for each in tmp_path.iterdir()] == ["blob"]


def test_other_bytes_become_no_blob(tmp_path: Path) -> None:
    draft = Draft.new(tmp_path)
    draft.write(b"other")
    with pytest.raises(Corrupt):
        draft.keep_as(Cid.of(b"one"), tmp_path / "blob")
    draft.discard()
    assert list(tmp_path.iterdir()) == []


def test_what_the_disk_refuses_is_said_in_the_words_of_the_user(tmp_path: Path) -> None:
    draft = Draft.new(tmp_path, _worded)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, draft._descriptor)
    os.close(full)
    with pytest.raises(Exhausted):
        draft.write(b"1")
    draft.discard()


def test_a_sweep_deletes_drafts_without_a_writer_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "left").touch()
    (tmp_path / "closed").touch(mode=0o444)
    living = Draft.new(tmp_path)
    living.write(b"one")
    sweep(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    living.keep_as(Cid.of(b"one"), tmp_path / "blob")
    living.discard()
    assert (tmp_path / "blob").read_bytes() == b"one"


def test_a_draft_that_is_swept_before_it_is_locked_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fstat
    swept: list[bool] = []

    def fstat(descriptor: int) -> os.stat_result:
        if not swept:
            swept.append(True)
            for each in tmp_path.iterdir():
                each.unlink()
        return real(descriptor)

    monkeypatch.setattr(os, "fstat", fstat)
    draft = Draft.new(tmp_path)
    draft.write(b"one")
    draft.keep_as(Cid.of(b"one"), tmp_path / "blob")
    draft.discard()
    assert swept
    assert (tmp_path / "blob").read_bytes() == b"one"
