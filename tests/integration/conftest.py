"""Both deployments, each started once for all tests that leave it as they found it."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.processes import PROCESSES, Installation, installed


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=list(PROCESSES))
async def installation(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Installation]:
    async with installed(request.param, tmp_path_factory.mktemp(request.param)) as running:
        yield running
