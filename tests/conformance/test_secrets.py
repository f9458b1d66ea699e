"""Every source of secrets keeps every promise, over a socket, and says no value aloud."""

import asyncio
import logging

import pytest

from tests.conformance.harness import Harness, adapters_of, target_of
from tests.conformance.held import Held
from theory.testing.case import Case
from theory.testing.cases.secrets import SEEDED
from theory.testing.primitives import cases_of
from theory.testing.runner import run

PRIMITIVE = "secret"


def test_promise(adapter: str, case: Case, held: Held, harness: Harness) -> None:
    held.require(PRIMITIVE, adapter, case, harness)


@pytest.mark.parametrize("source", adapters_of(PRIMITIVE))
def test_no_value_reaches_a_log(source: str, harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    async def speak() -> None:
        async with target_of(PRIMITIVE, source, harness) as target:
            assert (await run(cases_of(PRIMITIVE), target)).ok

    with caplog.at_level(logging.DEBUG):
        asyncio.run(speak())
    assert not [record for record in caplog.records for value in SEEDED.values() if value in f"{record.__dict__!r}"]
