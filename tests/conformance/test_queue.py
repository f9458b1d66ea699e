"""Every store of messages keeps every promise, over a socket."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.resources.queue.adapters import MODULE_BY_SCHEME
from tests.conformance.resources_target import resources_target, url_of
from theory.testing.case import Case, Target, cases_in
from theory.testing.cases import queue


@pytest.fixture(params=sorted(MODULE_BY_SCHEME))
async def target(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Target]:
    async with resources_target(tmp_path, queue_url=url_of(request.param, tmp_path), kv_url="memory:") as made:
        yield made


@pytest.mark.parametrize("case", list(cases_in(queue)), ids=lambda case: case.name)
async def test_promise(case: Case, target: Target) -> None:
    assert not case.missing(target)
    await case.check(target)
