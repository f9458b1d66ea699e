"""The name of an installation stays what it was."""

from pathlib import Path

from services.executor.adapters.runtimes.installation import installation_id


def test_every_later_call_has_the_same_answer(tmp_path: Path) -> None:
    home = tmp_path / "not yet" / "there"
    first = installation_id(home)
    assert len(first) == 16
    assert [installation_id(home) for _ in range(3)] == [first] * 3
    assert [each.name for each in home.iterdir()] == ["installation"]


def test_two_homes_are_two_installations(tmp_path: Path) -> None:
    assert installation_id(tmp_path / "a") != installation_id(tmp_path / "b")
