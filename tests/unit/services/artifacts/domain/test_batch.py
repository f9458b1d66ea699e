"""Items that failed before a batch was worked on."""

from services.artifacts.domain.batch import for_sound
from theory.core.errors import Invalid, TheoryError


async def test_errors_keep_their_place_and_are_not_worked_on() -> None:
    seen: list[list[int]] = []

    async def doubled(items: list[int]) -> list[int]:
        seen.append(items)
        return [2 * item for item in items]

    wrong = Invalid("FIELD_INVALID", "no")
    items: list[int | TheoryError] = [1, wrong, 2]
    assert await for_sound(items, doubled) == [2, wrong, 4]
    assert seen == [[1, 2]]


async def test_a_batch_without_a_sound_item_is_not_worked_on() -> None:
    async def never(items: list[int]) -> list[int]:
        raise AssertionError(items)

    wrong = Invalid("FIELD_INVALID", "no")
    items: list[int | TheoryError] = [wrong]
    assert await for_sound(items, never) == [wrong]
