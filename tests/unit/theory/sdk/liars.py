"""A client that has met a ledger which may lie."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.fakes.evil_ledger.lies import PLAN, SIGNER, Lies, history
from tests.fakes.evil_ledger.servicer import unit_of
from theory.sdk.client import Theory
from theory.sdk.log import LogClient
from theory.wire.identity import Role, ServiceKeys
from theory.wire.server import running

NAMES = [f"e{at}" for at in range(300)]
SOUND = history(*NAMES)


@dataclass
class Scene:
    """A client that has seen the honest state of a ledger, which may lie from now on."""

    lies: Lies
    theory: Theory
    log: LogClient

    async def faults(self) -> list[str]:
        return [f"{each.what} {each.seq}" for each in await self.theory.ledger.verify_plan(PLAN, self.log)]


@asynccontextmanager
async def met(lies: Lies) -> AsyncIterator[Scene]:
    keys = ServiceKeys.fresh()
    async with (
        running([unit_of(lies)], keys=keys) as server,
        Theory.connect(server.url, token=keys.token_of(Role.CLIENT)) as theory,
    ):
        scene = Scene(lies, theory, theory.log(SIGNER.key))
        await scene.log.checkpoint()
        yield scene
