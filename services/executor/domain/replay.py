"""Replay: one execution once more, from exactly what its receipt says it was made from, in a world of its own."""

import asyncio
from collections.abc import Sequence

from services.executor.domain.patience import patiently
from services.executor.domain.submit import Submissions
from services.executor.ports import (
    ExecutionRecord,
    ExecutorState,
    Ledger,
    PlanFileRecord,
    PlanRecord,
    Replayed,
    World,
)
from theory.core import jcs
from theory.core.cid import Cid
from theory.core.clock import Clock
from theory.core.errors import NotFound, NotReady, TheoryError
from theory.core.execution import ExecutionState, PlanState
from theory.core.ids import ExecutionId, IdSource, RequestId, execution_id_of
from theory.core.receipt import Receipt
from theory.core.world_path import WorldName, WorldPath


class Replays:
    """Turns the receipt of an execution into a plan that carries it out again and never takes a remembered result."""

    def __init__(
        self,
        *,
        state: ExecutorState,
        ledger: Ledger,
        world: World,
        submissions: Submissions,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        self._state = state
        self._ledger = ledger
        self._world = world
        self._submissions = submissions
        self._clock = clock
        self._ids = ids

    async def replay(self, request_id: RequestId, execution_id: ExecutionId) -> PlanRecord:
        """Record a plan of this one execution and begin it, or find the one that was recorded under this id.

        It has the snapshot, the inputs by CID, the seed and the write prefix of the first time. `NotFound`
        (`EXECUTION_UNKNOWN`; `BLOB_UNKNOWN` where an input is not kept any more); `NotReady` (`REPLAY_IMPOSSIBLE`:
        it has not ended, nothing ran, or it shared volumes); `AlreadyExists` (`REQUEST_ID_TAKEN`).
        """
        digest = Cid.of(jcs.canonical({"replay_of": execution_id.text})).text
        if known := await self._submissions.known(request_id, digest):
            return known
        record = await self._state.execution(execution_id)
        plan = await self._state.plan(record.plan_id)
        receipt = await self._receipt_of(record)
        inputs = _inputs_in(receipt)
        if inputs is None:
            raise _impossible(record, "its receipt names no inputs: nothing ran")
        files = await self._files(plan, inputs)
        plan_id = self._ids.plan_id()
        again = PlanRecord(
            plan_id=plan_id,
            request_id=request_id.text,
            request_digest=digest,
            name=plan.name,
            world=WorldName.parse(plan_id.text),
            policy=plan.policy,
            snapshot_id=plan.snapshot_id,
            seed=plan.seed,
            max_usd_micro=plan.max_usd_micro,
            files=files,
            state=PlanState.QUEUED,
            create_time=self._clock.now(),
            execution_count=1,
            replay_of=Replayed(execution_id, receipt.receipt_id),
        )
        execution = ExecutionRecord(
            plan_id=plan_id,
            execution_id=execution_id_of(plan_id, record.transition_id, record.index),
            ordinal=0,
            transition_id=record.transition_id,
            index=record.index,
            processor=record.processor,
            runtime=record.runtime,
            inputs=record.inputs,
            reads=(),
            needs=(),
            write_prefix=record.write_prefix,
            state=ExecutionState.QUEUED,
            chunks=tuple(inputs),
        )
        return await self._submissions.record(again, [execution])

    async def _receipt_of(self, record: ExecutionRecord) -> Receipt:
        if record.receipt_id is None:
            raise _impossible(record, f"it is {record.state.value}: only what was settled can be repeated")
        if record.volumes:
            raise _impossible(record, "it shared volumes, and nobody knows what they held")
        receipt_id = record.receipt_id
        [found] = await patiently(self._clock, lambda: self._ledger.receipts([receipt_id]))
        if isinstance(found, TheoryError):
            raise found
        return found

    async def _files(self, plan: PlanRecord, inputs: Sequence[tuple[WorldPath, Cid]]) -> tuple[PlanFileRecord, ...]:
        """The files among the inputs, as the first world has them: predicates look for them in the new one."""
        missing = await patiently(self._clock, lambda: self._world.missing([cid for _, cid in inputs]))
        if missing:
            path = next(path for path, cid in inputs if cid == missing[0])
            raise NotFound(
                "BLOB_UNKNOWN",
                f"the bytes of {path} are not kept any more",
                cid=missing[0].text,
                path=path.text,
            )
        files = [(path, cid) for path, cid in inputs if path.facet == "artifacts"]
        bound = await asyncio.gather(*(self._world.stat(plan.world, path) for path, _ in files))
        return tuple(
            PlanFileRecord(path, cid, artifact.size_bytes, artifact.content_type)
            for (path, cid), artifact in zip(files, bound, strict=True)
            if artifact is not None
        )


def _inputs_in(receipt: Receipt) -> list[tuple[WorldPath, Cid]] | None:
    listed = receipt.document.get("input_cids")
    if not isinstance(listed, list):
        return None
    return [
        (WorldPath.parse(path), Cid.parse(cid))
        for each in listed
        if isinstance(each, dict) and isinstance(path := each["path"], str) and isinstance(cid := each["cid"], str)
    ]


def _impossible(record: ExecutionRecord, why: str) -> NotReady:
    return NotReady("REPLAY_IMPOSSIBLE", why, execution_id=record.execution_id.text)
