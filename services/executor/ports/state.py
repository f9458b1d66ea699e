"""The port to the executor's own database: plans, executions and the memo index."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from services.executor.ports.record import ExecutionRecord, MemoEntry, PlanRecord
from theory.core.ids import ExecutionId, PlanId
from theory.core.jcs import JSON
from theory.core.refs import Ref


class ExecutorState(Protocol):
    """Keeps what the executor must know after a crash.

    A write survives a crash of the process once it returned. Every method raises only `theory.core.errors` classes,
    `Unavailable` where the database is away.

    Each write to a plan, or to executions of it, moves the plan's `seq` on by one and stamps what it wrote with it.

    Where other executors share the database, whoever carries a plan out holds its lease, by the clock of the database.
    A write to a plan whose lease another one has is `Conflict` (`LEASE_LOST`): nothing of it is kept.
    """

    @property
    def holder(self) -> str:
        """Whom leases name for this executor; empty where no other one shares the database, and nothing is leased."""
        ...

    async def take_plan(self, plan_id: PlanId) -> bool:
        """Hold the plan from now on, unless another executor does; whether it is held."""
        ...

    async def prolong_leases(self) -> frozenset[PlanId]:
        """Hold on to every plan that is held, for another lease; which those are. So with every flight."""
        ...

    def listen(self, hear: Callable[[PlanId], None]) -> None:
        """From now on call `hear` with plans that other executors changed: a hint, which may be missing."""
        ...

    async def add_plan(self, plan: PlanRecord, executions: Sequence[ExecutionRecord]) -> PlanRecord:
        """Record a plan with all its executions, or nothing.

        Where the `request_id` is known, the plan of the first call comes back and nothing is written; `AlreadyExists`
        (`REQUEST_ID_TAKEN`) where that plan has another `request_digest`.
        """
        ...

    async def plan_of_request(self, request_id: str) -> PlanRecord | None:
        """The plan that was submitted with this id."""
        ...

    async def plan(self, plan_id: PlanId) -> PlanRecord:
        """One plan; `NotFound` (`PLAN_UNKNOWN`)."""
        ...

    async def plans(self, *, before: PlanId | None, limit: int) -> list[PlanRecord]:
        """The newest first, from behind `before`."""
        ...

    async def open_plans(self) -> list[PlanRecord]:
        """The plans that are not terminal, and those whose scratch has not ended, the oldest first.

        Not those that another executor holds.
        """
        ...

    async def execution(self, execution_id: ExecutionId) -> ExecutionRecord:
        """One execution; `NotFound` (`EXECUTION_UNKNOWN`)."""
        ...

    async def executions(self, plan_id: PlanId, *, from_ordinal: int, limit: int) -> list[ExecutionRecord]:
        """In the order of the plan."""
        ...

    async def changes(self, plan_id: PlanId, *, after_seq: int) -> tuple[PlanRecord, list[ExecutionRecord]]:
        """The plan as it stands, and the executions that changed after `after_seq`, in the order of their `seq`."""
        ...

    async def save_plan(self, plan: PlanRecord) -> PlanRecord:
        """Replace the plan; it comes back with its new `seq`."""
        ...

    async def save_executions(
        self, executions: Sequence[ExecutionRecord], memo: MemoEntry | None = None
    ) -> list[ExecutionRecord]:
        """Replace executions of one plan, and remember a result with them, in one transaction."""
        ...

    async def ask_to_cancel(self, plan_id: PlanId, execution_id: ExecutionId | None) -> None:
        """Take down that an execution is to end early, or its whole plan where there is none. Idempotent."""
        ...

    async def asked_to_cancel(self, plan_ids: Sequence[PlanId]) -> list[tuple[PlanId, ExecutionId | None]]:
        """What was taken down of these plans."""
        ...

    async def line_up(self, execution_id: ExecutionId, line: str, lease_s: float) -> int:
        """Stand in a line, at its end unless it stands there already; how many stand before it.

        By the clock of the database; who was not kept for the length of its lease is not counted any more. A line is
        one for all executors that share the database.
        """
        ...

    async def keep_places(self, execution_ids: Collection[ExecutionId], lease_s: float) -> None:
        """Let them stand where they do for another lease."""
        ...

    async def step_out(self, execution_id: ExecutionId) -> None:
        """Stand in no line any more; nothing where another executor put it there. Idempotent."""
        ...

    async def take_flight(self, memo_key: str) -> bool:
        """Have a memo key for a lease, unless another executor has it; whether it is had.

        Who has it makes the result, and no other executor does meanwhile. True at once where nothing is shared.
        """
        ...

    async def leave_flight(self, memo_key: str) -> None:
        """Have it no more; nothing where another executor has it. Idempotent."""
        ...

    async def memo(self, memo_key: str) -> MemoEntry | None:
        """The result that is remembered under this key."""
        ...

    async def memos(self, memo_keys: Sequence[str]) -> Mapping[str, MemoEntry]:
        """The results that are remembered under these keys; one that is not is missing."""
        ...

    async def recent_components(
        self, processor: Ref, *, write_prefix: str | None, limit: int
    ) -> list[Mapping[str, JSON]]:
        """What the keys of the latest results of any version of this processor were made of.

        Of those that wrote below `write_prefix`, or of all where none did; the newest first.
        """
        ...

    async def close(self) -> None:
        """Give the database back."""
        ...
