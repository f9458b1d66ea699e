"""Every store of the ledger keeps every promise, over a socket."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.ledger.adapters import MODULE_BY_SCHEME
from services.ledger.assembly import assemble
from services.ledger.config import LedgerConfig
from theory.testing.case import Case, Target, cases_in
from theory.testing.cases import budget, ledger, settlement
from theory.wire.server import running

CASES = [each for module in (ledger, budget, settlement) for each in cases_in(module)]


@pytest.fixture(params=sorted(MODULE_BY_SCHEME))
async def target(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Target]:
    url = {"memory": "memory:", "sqlite": f"sqlite:///{tmp_path}/ledger.db"}[request.param]
    unit = await assemble(LedgerConfig.load({"home": tmp_path, "database_url": url}))
    async with running([unit]) as server:
        yield Target(server.channel)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_promise(case: Case, target: Target) -> None:
    assert not case.missing(target)
    await case.check(target)
