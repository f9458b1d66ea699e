"""What an attempt is granted, and when it gets the token that says so."""

from services.executor.domain.patience import patiently
from services.executor.ports import AttemptRecord, AttemptToken, ExecutionRecord, PlanRecord, Signer, World
from theory.core.clock import Clock
from theory.core.grant import AttemptGrant
from theory.core.spec import RegistrySnapshot


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


def grant_of(
    plan: PlanRecord, snapshot: RegistrySnapshot, record: ExecutionRecord, attempt: AttemptRecord
) -> AttemptGrant:
    """All that the attempt may do. No processor declares topics, so every topic of its plan is open to it."""
    return AttemptGrant(
        plan_id=plan.plan_id,
        world=plan.world,
        execution_id=record.execution_id,
        attempt_idx=attempt.attempt_idx,
        epoch=attempt.epoch,
        writes=record.write_set(snapshot),
    )
