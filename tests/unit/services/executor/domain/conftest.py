"""One installation for all tests of a module: each test finds it as if nothing had happened."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.embedded import Embedded, embedded


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def installation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Embedded]:
    async with embedded(tmp_path_factory.mktemp("home")) as theory:
        yield theory


@pytest.fixture
def theory(installation: Embedded) -> Embedded:
    installation.forget()
    return installation
