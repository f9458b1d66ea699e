"""A store of blobs in memory."""

import pytest

from tests.unit.services.executor.adapters.places.conftest import Blobs


@pytest.fixture
def blobs() -> Blobs:
    return Blobs()
