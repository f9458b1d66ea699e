"""A registry over a store in memory, with a clock that tests turn."""

from collections.abc import AsyncIterator

import pytest

from services.registry.adapters import open_store
from services.registry.adapters.forms import read_forms
from services.registry.domain.forms import Forms
from services.registry.domain.registry import Registry
from services.registry.ports import RegistryStore
from theory.core.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def store(clock: FakeClock) -> AsyncIterator[RegistryStore]:
    opened = await open_store("memory:", clock)
    yield opened
    await opened.close()


@pytest.fixture
def registry(store: RegistryStore, clock: FakeClock) -> Registry:
    return Registry(store, Forms(read_forms()), clock)
