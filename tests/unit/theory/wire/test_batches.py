"""The items of batch requests."""

import pytest

from theory.core.cid import Cid
from theory.core.errors import Invalid, TheoryError
from theory.wire.batches import batch, decoded

CID = "b3:" + "0" * 64


@pytest.mark.parametrize("count", [1, 3])
def test_a_batch_within_its_bounds_is_taken_as_it_is(count: int) -> None:
    assert batch([CID] * count, 3) == [CID] * count


@pytest.mark.parametrize("count", [0, 4])
def test_a_batch_of_none_or_too_many_is_refused(count: int) -> None:
    for ask in (lambda: batch([CID] * count, 3), lambda: decoded([CID] * count, Cid.parse, most=3)):
        with pytest.raises(Invalid) as caught:
            ask()
        assert (caught.value.reason, caught.value.metadata) == ("BATCH_SIZE", {"max": "3"})


def test_a_bad_item_is_its_own_error_and_stops_no_other() -> None:
    first, second, third = decoded([CID, "b3:no", CID], Cid.parse, most=3)
    assert first == third == Cid(CID)
    assert isinstance(second, TheoryError)
