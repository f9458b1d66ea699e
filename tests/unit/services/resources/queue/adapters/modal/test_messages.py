"""Ids that tell what need not be read; states, hints and handles that come back as they went."""

from datetime import UTC, datetime, timedelta

import pytest

from services.drivers.moments import to_us
from services.resources.queue.adapters.modal.messages import (
    ID_CHARACTERS,
    Facts,
    Side,
    State,
    Turn,
    first_turn,
    new_ids,
    pack_body,
    unpack_body,
)
from theory.core.adapters import QueuePublish
from theory.core.errors import Corrupt
from theory.core.ids import SequenceIds, SystemIds

_NOW = datetime(2026, 1, 1, 0, 0, 0, 7, tzinfo=UTC)


def test_an_id_tells_when_how_late_and_how_big() -> None:
    items = [QueuePublish(b""), QueuePublish(bytes(256 << 10), delay_s=43_200)]
    small, big = new_ids(_NOW, items, SystemIds())
    assert Facts.of(small) == Facts(_NOW, 0, 0)
    assert Facts.of(big) == Facts(_NOW, 43_200, 256 << 10)
    assert Facts.of(big).visible_us == to_us(_NOW + timedelta(seconds=43_200))
    assert len(small) == len(big) == ID_CHARACTERS


def test_ids_are_fresh_and_sort_as_they_were_published() -> None:
    ids = SequenceIds()
    batches = [new_ids(_NOW + timedelta(microseconds=at), [QueuePublish(b"x")] * 100, ids) for at in (0, 0, 1)]
    made = [message_id for batch in batches for message_id in batch]
    assert len(set(made)) == 300
    assert sorted(batches[0]) == batches[0]
    assert max(batches[0] + batches[1]) < min(batches[2])


@pytest.mark.parametrize("text", ["", "0" * 40, "0" * 42, "g" * 41, "F" * 41, "\u0660" * 41, "0" * 41 + "\n"])
def test_what_is_no_id_is_not_ours(text: str) -> None:
    with pytest.raises(Corrupt):
        Facts.of(text)


def test_a_state_comes_back_as_it_went() -> None:
    for side in Side:
        state = State(side, 1 << 60, (1 << 32) - 1, 3, bytes(range(16)))
        assert State.unpack(state.pack()) == state
    assert State(Side.LIVE, 0, 5, 3).receive_count == 2


@pytest.mark.parametrize("data", [b"", bytes(34), b"\x01\x03" + bytes(32), b"\x01" + bytes(32), bytes(35)])
def test_what_is_no_state_is_not_ours(data: bytes) -> None:
    with pytest.raises(Corrupt):
        State.unpack(data)


def test_a_hint_and_a_handle_say_which_turn_they_mean() -> None:
    [message_id] = new_ids(_NOW, [QueuePublish(b"")], SystemIds())
    turn = Turn(message_id, 7, State(Side.LIVE, 9, 5, 2, bytes(range(16))))
    for again in (Turn.of_hint(turn.hint()), Turn.of_handle(turn.handle(), Side.LIVE)):
        assert (again.message_id, again.number) == (message_id, 7)
        assert (again.state.side, again.state.deliveries, again.state.forgiven) == (Side.LIVE, 5, 2)


@pytest.mark.parametrize("data", [b"", b"\xff" * 53, b"0" * 52])
def test_what_is_no_hint_is_not_ours(data: bytes) -> None:
    with pytest.raises(Corrupt):
        Turn.of_hint(data)


def test_the_first_turn_comes_after_the_delay() -> None:
    [message_id] = new_ids(_NOW, [QueuePublish(b"", delay_s=3)], SystemIds())
    assert first_turn(message_id) == Turn(message_id, 0, State(Side.LIVE, to_us(_NOW) + 3_000_000))


def test_a_body_comes_back_as_it_went() -> None:
    for body in (b"", b"\x00", bytes(1000)):
        assert unpack_body(pack_body(body)) == body
    for foreign in (b"", b"\x02body"):
        with pytest.raises(Corrupt):
            unpack_body(foreign)
