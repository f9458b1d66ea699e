"""Handles that count deliveries."""

from datetime import UTC, datetime, timedelta

import pytest

from services.resources.queue.adapters import delivery
from theory.core.errors import Invalid, NotFound, NotReady
from theory.core.ids import SequenceIds, SystemIds

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_ids_are_fresh_and_sort_as_they_were_published() -> None:
    ids = SequenceIds()
    batches = [delivery.new_message_ids(NOW + timedelta(microseconds=moment), 100, ids) for moment in range(3)]
    made = [message_id for batch in batches for message_id in batch]
    assert made == sorted(set(made))
    assert {len(each) for each in made} == {32}
    assert delivery.new_message_ids(NOW, 1, SystemIds()) != delivery.new_message_ids(NOW, 1, SystemIds())


@pytest.mark.parametrize(
    ("handle", "expected"),
    [
        ("m:2", str),
        ("m:1", NotReady),
        ("m:3", NotReady),
        ("gone:1", NotFound),
        ("m", Invalid),
        ("m:", Invalid),
        ("m:x", Invalid),
        ("m:\u0662", Invalid),
        (":", Invalid),
    ],
)
def test_only_the_newest_delivery_may_be_settled(handle: str, expected: type) -> None:
    assert isinstance(delivery.newest(handle, {"m": 2}.get), expected)


def test_a_handle_names_its_message() -> None:
    assert delivery.newest(delivery.handle_of("m", 2), {"m": 2}.get) == "m"
    assert delivery.message_id_of(delivery.handle_of("m", 2)) == "m"
