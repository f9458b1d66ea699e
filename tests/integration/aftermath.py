"""What must hold of an installation after something bad was asked of it, or happened to it."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.executor.adapters.places import mount
from services.executor.adapters.runtimes.process import processes
from tests.documents import plan, step
from tests.embedded import Embedded
from theory.core.jcs import JSON
from theory.sdk.verify import verify_plan

_NEWEST = 3


@dataclass(frozen=True)
class Records:
    """Everything that is recorded of plans: which there are, and how far the chain of each has come."""

    plans: tuple[str, ...]
    chains: tuple[tuple[str, int], ...]


async def records(house: Embedded) -> Records:
    """What is recorded now."""
    return Records(
        tuple([each.plan_id.text async for each in house.theory.executor.list_plans()]),
        # What is published reaches the registry's own chain a little later.
        tuple([(name, seq) async for name, seq, _ in house.theory.ledger.chains() if not name.startswith("system.")]),
    )


async def check_nothing_is_left(house: Embedded) -> None:
    """No plan, reservation, place, mount or process is left, and what was recorded last is sound."""
    async for each in house.theory.executor.list_plans(limit=_NEWEST):
        assert each.state.terminal, each
        assert (await house.theory.ledger.get_budget(each.plan_id)).reserved_usd_micro == 0
        assert (await verify_plan(house.theory, each.plan_id.text)).faults == ()
    attempts = house.home / "executor" / "attempts"
    assert list(attempts.iterdir()) == []
    assert mount.mounted_below(house.home.resolve() / "executor") == []
    assert processes.living(attempts.resolve()) == {}
    assert _holds(house.home) == 0


async def check_all_is_well(house: Embedded, correct: Mapping[str, JSON] | None = None) -> None:
    """Nothing is left, and the next correct plan runs: that of this transition, if one is given."""
    await check_nothing_is_left(house)
    ran = await house.run_plan(plan(correct or step()))
    assert {each.value for each in (ran.plan.state, *(each.state for each in ran.executions))} == {"succeeded"}


def _holds(home: Path) -> int:
    table = sqlite3.connect(f"file:{home}/artifacts.db?mode=ro", uri=True)
    try:
        (count,) = table.execute("SELECT count(*) FROM hold WHERE owner IS NOT NULL").fetchone()
    finally:
        table.close()
    return int(count)
