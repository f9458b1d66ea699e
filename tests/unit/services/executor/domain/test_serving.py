"""The tests of services/executor/domain/serving.py."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.executor.domain.serving import Serving
from services.executor.ports import AttemptPlace, Bearer
from tests.documents import STEP
from tests.embedded import Embedded
from tests.peers import peers_of
from tests.records import ATTEMPT
from tests.unit.services.executor.domain.test_tokens import execution_of, plan_of, tokens_of
from theory.core.jcs import JSON
from theory.core.refs import Ref, SpecKind

pytestmark = pytest.mark.asyncio(loop_scope="module")


class _Sockets:
    """Remembers who was served where."""

    def __init__(self) -> None:
        self.served: list[tuple[str, Mapping[str, JSON]]] = []
        self.open = 0

    @asynccontextmanager
    async def serving(self, place: AttemptPlace, about: Mapping[str, JSON], bearer: Bearer) -> AsyncIterator[None]:
        self.served.append((place.name, about))
        self.open += 1
        yield
        self.open -= 1


async def test_an_attempt_is_served_in_its_place_and_told_who_it_is(theory: Embedded, tmp_path: Path) -> None:
    plan = plan_of("p-served")
    record = execution_of(plan, "a", b"photo")
    snapshot = await peers_of(theory).registry.create_snapshot([(SpecKind.TOOLS, Ref(STEP))])
    sockets, place = _Sockets(), AttemptPlace("p-served.a-a0", tmp_path)
    async with Serving(sockets, tokens_of(theory, tmp_path)).attempt(plan, snapshot, record, ATTEMPT, place):
        assert sockets.open == 1
    assert sockets.open == 0
    about = {
        "plan_id": "p-served",
        "world": "p-served",
        "execution_id": "p-served.a",
        "attempt_idx": ATTEMPT.attempt_idx,
        "epoch": ATTEMPT.epoch,
        "writes": ["/artifacts/outputs/a/**"],
    }
    assert sockets.served == [(place.name, about)]
