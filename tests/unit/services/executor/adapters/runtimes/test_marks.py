"""The notes in a place."""

from pathlib import Path

from services.executor.adapters.runtimes.marks import Marks


def test_a_new_place_has_no_notes(tmp_path: Path) -> None:
    assert (Marks(tmp_path).started, Marks(tmp_path).stopping) == (False, None)


def test_a_note_is_seen_by_whoever_comes_later(tmp_path: Path) -> None:
    Marks(tmp_path).start()
    Marks(tmp_path).start()
    assert Marks(tmp_path).started


def test_the_first_reason_to_stop_stays(tmp_path: Path) -> None:
    assert Marks(tmp_path).stop("cancelled") == "cancelled"
    assert Marks(tmp_path).stop("timed_out") == "cancelled"
    assert Marks(tmp_path).stopping == "cancelled"


def test_what_is_no_note_counts_for_nothing(tmp_path: Path) -> None:
    (tmp_path / ".stopping").symlink_to("/etc/passwd")
    assert Marks(tmp_path).stopping is None


def test_a_place_that_is_gone_has_no_notes(tmp_path: Path) -> None:
    assert (Marks(tmp_path / "gone").started, Marks(tmp_path / "gone").stopping) == (False, None)
