"""An attempt that cases speak as, and the requests that it must not make."""

from dataclasses import dataclass, replace

import grpc

from theory.core.errors import Denied
from theory.core.grant import AttemptGrant
from theory.core.ids import ExecutionId, PlanId
from theory.core.selector import Selector
from theory.core.world_path import WorldName
from theory.testing.case import Target
from theory.testing.refusals import refused

OUT = "/artifacts/out"


def grant_of(target: Target, *, topics: tuple[str, ...] | None = None) -> AttemptGrant:
    """The first attempt of an execution of a plan that nobody used before; it may write below `OUT`."""
    plan_id = PlanId.parse(target.fresh("plan"))
    writes = (Selector.parse(f"{OUT}/**"),)
    world, execution_id = WorldName.parse(plan_id.text), ExecutionId.parse(f"{plan_id}.a")
    return AttemptGrant(plan_id, world, execution_id, 0, 1, writes, topics)


@dataclass(frozen=True)
class Speaker:
    """An attempt, and a channel with its token."""

    grant: AttemptGrant
    channel: grpc.aio.Channel

    @classmethod
    async def of(cls, target: Target, grant: AttemptGrant | None = None) -> "Speaker":
        """The attempt of a grant; of a fresh one where none is given."""
        grant = grant or grant_of(target)
        return cls(grant, await target.attempt(grant))

    @classmethod
    async def beside(cls, grant: AttemptGrant, target: Target, name: str) -> "Speaker":
        """An attempt of another execution of the same plan."""
        other = replace(grant, execution_id=ExecutionId.parse(f"{grant.plan_id}.{name}"))
        return await cls.of(target, other)


def denied(answer: object, field: str) -> None:
    """The answer must be `Denied ATTEMPT_DENIED`, and name the field that is not the attempt's."""
    error = refused(answer, Denied, "ATTEMPT_DENIED")
    assert error.metadata["field"] == field, f"{field} was expected, not {error.metadata}"
