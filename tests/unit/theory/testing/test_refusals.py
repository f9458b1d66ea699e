"""What a case says of a call that must fail."""

import pytest

from theory.core.errors import Invalid, NotFound
from theory.testing.refusals import refusal, refused

ERROR = Invalid("KEY_INVALID", "no key", rule="empty")


async def answering(value: object) -> object:
    if isinstance(value, Exception):
        raise value
    return value


async def test_the_error_that_was_expected_is_returned() -> None:
    assert refused(ERROR, Invalid, "KEY_INVALID") is ERROR
    assert await refusal(answering(ERROR), Invalid, "KEY_INVALID") is ERROR


@pytest.mark.parametrize("answer", [None, 1, NotFound("KEY_INVALID", "other"), Invalid("TTL_INVALID", "other")])
async def test_anything_else_breaks_the_case(answer: object) -> None:
    with pytest.raises(AssertionError, match="KEY_INVALID was expected"):
        refused(answer, Invalid, "KEY_INVALID")
    with pytest.raises(AssertionError, match="KEY_INVALID was expected"):
        await refusal(answering(answer), Invalid, "KEY_INVALID")
