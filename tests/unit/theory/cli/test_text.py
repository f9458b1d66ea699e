"""How amounts, times and foreign text are written."""

from datetime import UTC, datetime, timedelta

import pytest

from theory.cli import text


@pytest.mark.parametrize(
    ("micro", "expected"),
    [
        (0, "$0.00"),
        (1, "$0.000001"),
        (5000, "$0.005"),
        (1_000_000, "$1.00"),
        (1_230_000, "$1.23"),
        (2**63 - 1, "$9223372036854.775807"),
        (-1, "-$0.000001"),
    ],
)
def test_money_is_exact(micro: int, expected: str) -> None:
    assert text.usd(micro) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (12_345, "12.3 kB"), (999_999, "1.00 MB"), (5 * 10**12, "5.00 TB")],
)
def test_sizes_have_three_digits(count: int, expected: str) -> None:
    assert text.size(count) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-1, "0.00 s"), (0.421, "0.42 s"), (7.06, "7.1 s"), (125, "2 min 05 s"), (3600 * 3 + 60 * 7, "3 h 07 min")],
)
def test_durations_are_as_exact_as_they_are_long(seconds: float, expected: str) -> None:
    assert text.duration(seconds) == expected


def test_the_time_between_is_empty_where_one_end_is_not_known() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert text.between(start, start + timedelta(seconds=2)) == "2.0 s"
    assert text.between(start, None) == text.between(None, start) == ""
    assert text.moment(start) == "2026-01-01 00:00:00"


def test_things_are_counted_in_words() -> None:
    assert [text.counted(each, "file") for each in (0, 1, 12_345)] == ["0 files", "1 file", "12 345 files"]
    assert text.some(["a", "b", "c"], 2) == "a, b and 1 more"
    assert text.some(["a"], 2) == "a"


def test_foreign_text_cannot_move_the_cursor() -> None:
    assert text.clean("a\x1b[31mb\u202ec\n\td") == "a�[31mb�c\n\td"
    assert text.line("a\r\nb   c") == "a� b c"


def test_widths_are_columns_of_a_terminal() -> None:
    assert [text.width(each) for each in ("abc", "日本", "é", "e\u0301")] == [3, 4, 1, 1]
    assert text.cut("日本語", 5) == "日本…"
    assert text.cut("abc", 3) == "abc"
