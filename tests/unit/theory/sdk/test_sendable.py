"""What no message can hold."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.unit.theory.core.refusal import refused
from theory.api.ledger.v1.ledger_pb2 import ListEventsRequest
from theory.core.errors import Invalid, TheoryError
from theory.sdk import sendable


@pytest.mark.parametrize(
    ("text", "sound"), [("", True), ("a\x00", True), ("\u00e9\U0001f511", True), ("a\ud800", False)]
)
def test_text_is_what_utf8_can_say(text: str, sound: bool) -> None:
    assert sendable.is_text(text) is sound


def odd_is_bad(item: int) -> Invalid | None:
    return Invalid("FIELD_INVALID", "odd", field=str(item)) if item % 2 else None


async def test_sound_items_are_asked_for_together_and_answers_stay_in_place() -> None:
    asked: list[Sequence[int]] = []

    async def load(items: Sequence[int]) -> Sequence[int | TheoryError]:
        asked.append(items)
        return [item * 10 for item in items]

    answers = await sendable.ask([1, 2, 3, 4], odd_is_bad, load)
    assert asked == [[2, 4]]
    assert (answers[1], answers[3]) == (20, 40)
    for idx in (0, 2):
        answer = answers[idx]
        assert isinstance(answer, Invalid)
        assert answer.metadata == {"field": str(idx + 1)}


async def test_nothing_is_asked_where_nothing_is_sound() -> None:
    async def load(items: Sequence[int]) -> Sequence[int | TheoryError]:
        raise AssertionError(items)

    assert await sendable.ask([], odd_is_bad, load) == []
    assert len(await sendable.ask([1, 3], odd_is_bad, load)) == 2


@pytest.mark.parametrize(
    "fields", [{"plan_id": "p\ud800"}, {"after_seq": 1 << 63}, {"plan_id": 7}, {"kinds": ["\udcff"]}, {"kinds": 7}]
)
def test_what_fits_into_no_message_is_invalid(fields: dict[str, Any]) -> None:
    with refused(Invalid, "FIELD_INVALID"):
        sendable.message(ListEventsRequest, **fields)


def test_a_message_is_made_of_what_fits() -> None:
    assert sendable.message(ListEventsRequest, plan_id="p\x00", after_seq=-1).plan_id == "p\x00"


def test_an_error_of_ours_stays_what_it_is() -> None:
    def make() -> None:
        raise Invalid("EVENT_BODY_INVALID", "no")

    with refused(Invalid, "EVENT_BODY_INVALID"):
        sendable.message(make)
