"""What is read out of the classes of settings."""

import pytest

from deploy.reference import config


class Told:
    """Fields as settings have them."""

    first: int
    second: "str | None"
    """What both are."""
    third: float
    """What it is,
    in two lines."""
    fourth: int


def test_fields_in_a_row_share_the_docstring_below_the_last() -> None:
    found = config.fields_of(Told)
    assert {name: each.docstring for name, each in found.items()} == {
        "first": "What both are.",
        "second": "What both are.",
        "third": "What it is, in two lines.",
    }


def test_a_field_that_says_nothing_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "fields_of", lambda _: {})
    with pytest.raises(KeyError):
        config.page()


def test_no_default_depends_on_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    page = config.page()
    monkeypatch.setenv("THEORY_HOME", "/elsewhere")
    monkeypatch.setenv("THEORY_LEDGER_URL", "grpc://elsewhere:1")
    assert config.page() == page
    assert "sqlite:///$THEORY_HOME/ledger.db" in page
