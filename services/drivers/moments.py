"""Times in columns: whole microseconds since 1970, which lose nothing and compare as numbers."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_us(moment: datetime) -> int:
    """`moment` as a column holds it."""
    return (moment - _EPOCH) // _MICROSECOND


def from_us(us: int) -> datetime:
    """The moment, in UTC, that a column holds."""
    return _EPOCH + timedelta(microseconds=us)
