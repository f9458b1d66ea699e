"""What is remembered of a store, and for how long."""

from services.artifacts.adapters.blobs.s3.known import LASTING_S, TRUST_S, KnownSizes
from theory.core.cid import Cid
from theory.core.clock import FakeClock

ONE, TWO, THREE = (Cid.of(each) for each in (b"one", b"two", b"three"))


def test_a_size_is_believed_for_a_while(clock: FakeClock) -> None:
    known = KnownSizes(clock)
    known.note({ONE: 3})
    clock.advance(TRUST_S - 1)
    assert known.sizes([ONE, TWO]) == {ONE: 3}
    clock.advance(1)
    assert known.sizes([ONE]) == {}


def test_a_size_that_is_seen_again_is_believed_longer(clock: FakeClock) -> None:
    known = KnownSizes(clock)
    known.note({ONE: 3})
    clock.advance(TRUST_S - 1)
    known.note({ONE: 3})
    clock.advance(TRUST_S - 1)
    assert known.sizes([ONE]) == {ONE: 3}


def test_one_that_is_soon_forgotten_does_not_last(clock: FakeClock) -> None:
    known = KnownSizes(clock)
    known.note({ONE: 3})
    clock.advance(TRUST_S - LASTING_S)
    assert known.sizes([ONE], for_s=LASTING_S) == {}
    assert known.sizes([ONE]) == {ONE: 3}


def test_the_oldest_go_where_there_are_too_many(clock: FakeClock) -> None:
    known = KnownSizes(clock, limit=2)
    known.note({ONE: 3, TWO: 3})
    known.note({ONE: 3, THREE: 5})
    assert known.sizes([ONE, TWO, THREE]) == {ONE: 3, THREE: 5}
