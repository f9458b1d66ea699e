"""The page of the command line."""

import pytest

from deploy.reference import verbs
from deploy.reference.verbs import Notes
from theory.cli.grammar import VERBS
from theory.cli.parsers import Parser


def test_every_verb_has_its_heading() -> None:
    page = verbs.page()
    assert [name for name in VERBS if f"\n### theory {name}\n" not in page] == []
    assert "\n#### theory plan ls\n" in page


def test_no_terminal_changes_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    page = verbs.page()
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert verbs.page() == page


def test_arguments_are_taken_down_under_their_headings() -> None:
    parser = Parser("theory tidy", description="Tidies.", epilog="example: theory tidy")
    parser.add_argument("room", metavar="ROOM", nargs="?")
    parser.add_argument_group("more").add_argument("--by", metavar="NAME")
    notes = Notes(parser)
    assert notes.texts == ["Tidies.", "example: theory tidy"]
    assert [each.dest for each in notes.used] == ["help", "room", "by"]
    assert [notes.placeholders(each) for each in notes.used] == ["", "[ROOM]", "NAME"]
    assert [each.dest for each in notes.sections[-1].arguments] == ["by"]
