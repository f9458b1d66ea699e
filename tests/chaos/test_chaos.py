"""A short run against every store: a few kills, nothing lost, nothing invented, every key in order."""

import pytest

from tests.chaos.backends import BACKENDS
from tests.chaos.run import Size, run


@pytest.mark.drill
@pytest.mark.slow
@pytest.mark.parametrize("name", BACKENDS)
async def test_a_store_that_is_killed_keeps_its_promises(name: str) -> None:
    # What would take a minute by itself is for `make chaos`.
    size = Size(messages=300, kills=2, calm_s=1.0, redrives=name != "sqs", events=name != "postgresql")
    result = await run(name, size)
    assert result.violations == ()
    assert result.kills.total() >= 2
    assert sum(each.acknowledged for each in result.topics) >= 300
    assert result.keys.operations > 0
