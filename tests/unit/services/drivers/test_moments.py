"""Times in columns."""

from datetime import UTC, datetime, timedelta, timezone

from services.drivers.moments import from_us, to_us


def test_a_moment_comes_back_to_the_microsecond() -> None:
    for moment in (datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)):
        assert from_us(to_us(moment)) == moment
        assert from_us(to_us(moment)).tzinfo is UTC


def test_columns_compare_as_the_moments_do() -> None:
    one = datetime(2026, 1, 1, tzinfo=UTC)
    assert to_us(one + timedelta(microseconds=1)) == to_us(one) + 1
    assert to_us(one.astimezone(timezone(timedelta(hours=5)))) == to_us(one)
