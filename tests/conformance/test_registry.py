"""Every store of documents keeps every promise, over a socket."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.registry.adapters import MODULE_BY_SCHEME
from services.registry.assembly import assemble
from services.registry.config import RegistryConfig
from theory.testing.case import Case, Target, cases_in
from theory.testing.cases import registry, snapshot
from theory.wire.server import running

CASES = [each for module in (registry, snapshot) for each in cases_in(module)]


@pytest.fixture(params=sorted(MODULE_BY_SCHEME))
async def target(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Target]:
    url = {"memory": "memory:", "sqlite": f"sqlite:///{tmp_path}/registry.db"}[request.param]
    unit = await assemble(RegistryConfig.load({"home": tmp_path, "database_url": url}))
    async with running([unit]) as server:
        yield Target(server.channel)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_promise(case: Case, target: Target) -> None:
    assert not case.missing(target)
    await case.check(target)
