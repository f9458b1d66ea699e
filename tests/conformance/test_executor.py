"""The executor keeps every promise over a socket, with each of its databases."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.executor.adapters.state import MODULE_BY_SCHEME
from tests.embedded import embedded
from theory.testing.case import Case, Target, cases_in
from theory.testing.cases import executor

CASES = list(cases_in(executor))


@pytest.fixture(params=sorted(MODULE_BY_SCHEME))
async def target(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Target]:
    url = {"memory": "memory:", "sqlite": f"sqlite:///{tmp_path}/executor.db"}[request.param]
    async with embedded(tmp_path, publish=(), database_url=url) as theory:
        yield Target(theory.server.channel, frozenset({"MOCK", "PEERS"}))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_promise(case: Case, target: Target) -> None:
    assert not case.missing(target)
    await case.check(target)
