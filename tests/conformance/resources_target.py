"""The whole resources service behind a unix socket, with a clock that cases turn."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.resources.assembly import assemble
from services.resources.config import ResourcesConfig
from theory.core.clock import FakeClock
from theory.testing.case import Target
from theory.wire.server import running


@asynccontextmanager
async def resources_target(home: Path, *capabilities: str, **urls: str) -> AsyncIterator[Target]:
    clock = FakeClock()
    unit = await assemble(ResourcesConfig.load({"home": home, **urls}), clock=clock)

    async def advance(s: float) -> None:
        clock.advance(s)

    async with running([unit]) as server:
        yield Target(server.channel, frozenset({"CLOCK", *capabilities}), advance)


def url_of(scheme: str, home: Path) -> str:
    """An address for any scheme of the tables of adapters: one that is registered and not here fails its tests."""
    return {"memory": "memory:", "sqlite": f"sqlite:///{home}/store.db"}[scheme]
