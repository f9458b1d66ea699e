"""The resources service in memory behind a real socket, and which calls it says it served."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.resources.assembly import assemble
from services.resources.config import ResourcesConfig
from theory.core.clock import Clock
from theory.wire.server import RunningServer, running


@asynccontextmanager
async def resources(home: Path, clock: Clock | None = None, **urls: str) -> AsyncIterator[RunningServer]:
    config = ResourcesConfig.load({"home": home, "kv_url": "memory:", "queue_url": "memory:", **urls})
    async with running([await assemble(config, clock=clock)]) as server:
        yield server


def served(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The methods of the calls served so far, in the order in which they ended."""
    facts = [vars(record).get("theory_fields", {}) for record in caplog.records if record.name == "theory.wire.rpc"]
    return [fact["method"].rpartition("/")[2] for fact in facts]
