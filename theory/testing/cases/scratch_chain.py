"""The chain of a plan as the cases of scratch read it: its events, once they have arrived, and what is in them."""

import asyncio
from collections.abc import Iterable

from theory.core.chain import Event
from theory.sdk.ledger import LedgerClient
from theory.testing.case import Target

_PATIENCE_S = 20
_PAUSE_S = 0.05


async def told(target: Target, plan_id: str, count: int) -> list[Event]:
    """The events of a plan, which must be `count` soon: they follow what they tell of a little later."""
    ledger = LedgerClient(target.channel())
    found: list[Event] = []
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while len(found := [each async for page in ledger.events(plan_id) for each in page.events]) < count:
                await target.advance(_PAUSE_S)
    except TimeoutError:
        message = f"{len(found)} of {count} events came: {[each.event_id for each in found]}"
        raise AssertionError(message) from None
    assert len(found) == count, f"{count} events were expected, not {[each.event_id for each in found]}"
    return found


def require_ids(events: Iterable[Event], area: str, *, every: int = 1) -> None:
    """The ids must begin with `area` and end with the count of the change: each `every`-th once and without a gap.

    A store that keeps no events counts by process, under a name of its own in the middle.
    """
    numbers_by_name: dict[str, list[int]] = {}
    for each in events:
        name, _, number = each.event_id.rpartition("/")
        assert name.partition("/")[0] == area, f"{each.event_id} is not of {area}"
        numbers_by_name.setdefault(name, []).append(int(number))
    together = sorted(number for numbers in numbers_by_name.values() for number in numbers)
    if not _without_gap(together, every):
        for numbers in numbers_by_name.values():
            assert _without_gap(sorted(numbers), every), f"the events have the numbers {together}"


def _without_gap(numbers: list[int], every: int) -> bool:
    return numbers == [every * (idx + 1) for idx in range(len(numbers))]


def require_silence(events: Iterable[Event], *secrets: bytes) -> None:
    """No event may hold a value or a body, as it is or in hex."""
    for each in events:
        for secret in secrets:
            assert secret not in each.preimage, f"{each.event_id} holds what it tells of"
            assert secret.hex().encode() not in each.preimage, f"{each.event_id} holds what it tells of"
