"""The page of conformance says what the tables of adapters and the cases say, and nothing that is old."""

from pathlib import Path

import pytest

from tests.conformance import page
from tests.conformance.harness import adapters_of
from tests.conformance.lacking import WHY
from theory.testing.primitives import MODULES_BY_PRIMITIVE, cases_of


def _found() -> dict[str, dict[str, page.Shown]]:
    """As if every adapter offered all, but for the first, which offers nothing."""
    return {
        primitive: {
            adapter: page.Shown(at > 0, frozenset(page.known_of(primitive) if at else ()))
            for at, adapter in enumerate(adapters_of(primitive))
        }
        for primitive in MODULES_BY_PRIMITIVE
    }


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page of these, in place of the project's."""
    every = {name: "it is only a test" for primitive in MODULES_BY_PRIMITIVE for name in page.known_of(primitive)}
    monkeypatch.setattr(page, "WHY", {adapter: every for each in MODULES_BY_PRIMITIVE for adapter in adapters_of(each)})
    monkeypatch.setattr(page, "PAGE", tmp_path / "conformance.md")
    page.PAGE.write_text(page.page(_found()), "utf-8")
    return page.PAGE


def test_the_page_is_not_old() -> None:
    assert list(page.faults()) == []


def test_every_gap_has_its_reason_and_no_reason_is_left_over() -> None:
    found = page.found_in(page.PAGE.read_text("utf-8"))
    assert list(page.unexplained(found)) == []
    gaps = {
        (adapter, name)
        for primitive, adapters in found.items()
        for adapter, shown in adapters.items()
        for name in page.known_of(primitive)
        if name not in shown.offers
    }
    assert {(adapter, name) for adapter, names in WHY.items() for name in names} <= gaps


def test_a_page_says_what_was_found(written: Path) -> None:
    text = written.read_text("utf-8")
    assert page.found_in(text) == _found()
    assert list(page.faults()) == []
    assert f"| {len(cases_of('kv'))} promises | invariants | `memory` |" in text
    assert "| skipped ¹ | kept |" in text
    assert "¹ needs CLOCK" in text or "¹ needs " in text


def test_a_page_without_an_adapter_is_old(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "adapters_of", lambda primitive: [*adapters_of(primitive), "novelty"])
    assert "docs/conformance.md: kv has no column for novelty" in list(page.faults())
    monkeypatch.setattr(page, "adapters_of", lambda primitive: adapters_of(primitive)[1:])
    assert "docs/conformance.md: kv on memory is no more" in list(page.faults())


@pytest.mark.parametrize(
    ("old", "new"),
    [("an_absent_key_is_no_error", "a_promise_of_yesterday"), ("| I-28 |", "| I-29 |"), ("| kept |", "| broken |")],
)
def test_a_page_of_other_promises_is_old(written: Path, old: str, new: str) -> None:
    written.write_text(written.read_text("utf-8").replace(old, new, 1), "utf-8")
    assert list(page.faults()) == ["docs/conformance.md: its promises or words are old"]


def test_no_page_is_an_old_page(written: Path) -> None:
    written.unlink()
    assert "docs/conformance.md: queue has no column for memory" in list(page.faults())
