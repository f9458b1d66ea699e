"""The servers behind adapters: each started once, when the first test needs it."""

from collections.abc import Iterator

import pytest

from tests.servers import Servers


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with Servers() as made:
        yield made
