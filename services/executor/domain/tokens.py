"""What an attempt is granted, and when it gets the token that says so."""

import asyncio

from services.executor.domain.patience import patiently
from services.executor.ports import (
    AttemptRecord,
    AttemptToken,
    Bearer,
    ExecutionRecord,
    PlanRecord,
    Signer,
    World,
)
from theory.core.clock import Clock
from theory.core.grant import AttemptGrant
from theory.core.secret import Secret
from theory.core.spec import RegistrySnapshot

RENEWED_BEFORE_S = 20
"""How long before a token expires the next one is signed: what is asked with it may be on its way for a while."""


class Tokens:
    """Gives attempts their tokens. An attempt that gets none costs nothing: nothing is told to anybody."""

    def __init__(self, *, world: World, signer: Signer, clock: Clock) -> None:
        self._world = world
        self._signer = signer
        self._clock = clock

    async def admit(
        self, plan: PlanRecord, snapshot: RegistrySnapshot, record: ExecutionRecord, attempt: AttemptRecord
    ) -> AttemptGrant:
        """Open its inputs to the attempt; what `token` is asked with from now on. Idempotent.

        To be called once the attempt is recorded, and before anybody has a token of it. Waits while the other services
        are away. `Conflict` (`EPOCH_FENCED`): the attempt is over; `NotFound` (`BLOB_UNKNOWN`): an input is not kept.
        """
        grant = grant_of(plan, snapshot, record, attempt)
        await patiently(
            self._clock,
            lambda: self._world.pin_inputs(
                plan.world, plan.plan_id, record.execution_id, attempt.epoch, attempt.inputs
            ),
        )
        return grant

    async def token(self, grant: AttemptGrant) -> AttemptToken:
        """A token for the next minute. As `Signer.sign`."""
        return await self._signer.sign(grant)

    def bearer(
        self, plan: PlanRecord, snapshot: RegistrySnapshot, record: ExecutionRecord, attempt: AttemptRecord
    ) -> Bearer:
        """What gives the attempt's token of the moment.

        Asked for the first time it admits the attempt, so that one which never asks costs nothing. Errors as those of
        `admit` and `token`; whoever asks next tries again.
        """
        admitting = asyncio.Lock()
        grant: AttemptGrant | None = None
        token: AttemptToken | None = None

        async def current() -> Secret:
            nonlocal grant, token
            async with admitting:
                grant = grant or await self.admit(plan, snapshot, record, attempt)
                if token is None or self._left_s(token) < RENEWED_BEFORE_S:
                    token = await self.token(grant)
                return token.text

        return current

    def _left_s(self, token: AttemptToken) -> float:
        return (token.expire_time - self._clock.now()).total_seconds()


def grant_of(
    plan: PlanRecord, snapshot: RegistrySnapshot, record: ExecutionRecord, attempt: AttemptRecord
) -> AttemptGrant:
    """All that the attempt may do; every topic of its plan where its processor declares none."""
    return AttemptGrant(
        plan_id=plan.plan_id,
        world=plan.world,
        execution_id=record.execution_id,
        attempt_idx=attempt.attempt_idx,
        epoch=attempt.epoch,
        writes=record.write_set(snapshot),
        topics=snapshot.get_processor(record.processor).topics,
    )
