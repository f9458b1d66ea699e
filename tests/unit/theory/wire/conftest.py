"""The echo service behind a real socket."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.theory.wire.echo import Echo
from theory.wire.server import RunningServer, running


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
async def server(echo: Echo) -> AsyncIterator[RunningServer]:
    async with running([echo.unit()]) as server:
        yield server
