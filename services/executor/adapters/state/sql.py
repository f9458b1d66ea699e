"""The executor's state in SQL: one row per plan, per execution and per remembered result."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Executable,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from services.drivers.sql import Database
from services.drivers.sql.ports import Listener
from services.drivers.sql.schema import Part, declare
from services.drivers.sql.words import insert_new, note, now_us
from services.executor.adapters.state.documents import (
    components_in,
    execution_from_json,
    execution_to_json,
    memo_from_json,
    memo_to_json,
    plan_from_json,
    plan_to_json,
)
from services.executor.adapters.state.flights import FlightTable
from services.executor.adapters.state.lines import LineTable
from services.executor.adapters.state.replica import Replica
from services.executor.ports import ExecutionRecord, ExecutorState, MemoEntry, PlanRecord
from theory.core.errors import AlreadyExists, Conflict, NotFound
from theory.core.execution import PlanState
from theory.core.ids import ExecutionId, PlanId
from theory.core.jcs import JSON
from theory.core.refs import Ref

METADATA = declare(MetaData(), [Part("executor", Path(__file__).parent / "migrations")])
_PLAN = Table(
    "plan",
    METADATA,
    Column("plan_id", Text, primary_key=True),
    Column("request_id", Text, nullable=False, unique=True),
    Column("state", Text, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("scratch_ended", Integer, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("holder", Text, nullable=False, server_default=""),
    Column("lease_us", BigInteger, nullable=False, server_default="0"),
)
_EXECUTION = Table(
    "execution",
    METADATA,
    Column("execution_id", Text, primary_key=True),
    Column("plan_id", Text, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Index("execution_in_plan", "plan_id", "ordinal", unique=True),
    Index("execution_changes", "plan_id", "seq"),
)
_MEMO = Table(
    "memo",
    METADATA,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("memo_key", Text, nullable=False, unique=True),
    Column("processor_name", Text, nullable=False),
    Column("write_prefix", Text, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Index("memo_of_processor", "processor_name", "position"),
    Index("memo_of_place", "processor_name", "write_prefix", "position"),
)
_CANCELLATION = Table(
    "cancellation",
    METADATA,
    Column("plan_id", Text, primary_key=True),
    Column("execution_id", Text, primary_key=True),  # empty for the whole plan
)
_LINES = LineTable(METADATA)
_FLIGHTS = FlightTable(METADATA)

# Built once: on this path the statement's construction costs more than its execution.
_NEXT_SEQ = (
    update(_PLAN)
    .where(_PLAN.c.plan_id == bindparam("of_plan"), _PLAN.c.holder.in_(["", bindparam("by_holder")]))
    .values(seq=_PLAN.c.seq + bindparam("steps"))
    .returning(_PLAN.c.seq)
)
_SET_EXECUTION = (
    update(_EXECUTION)
    .where(_EXECUTION.c.execution_id == bindparam("of_execution"))
    .values(state=bindparam("new_state"), seq=bindparam("new_seq"), document=bindparam("new_document"))
)
_SET_PLAN = (
    update(_PLAN)
    .where(_PLAN.c.plan_id == bindparam("of_plan"))
    .values(
        state=bindparam("new_state"),
        scratch_ended=bindparam("new_scratch_ended"),
        document=bindparam("new_document"),
    )
)
_TERMINAL = [state.value for state in PlanState if state.terminal]
_OPEN = _PLAN.c.state.not_in(_TERMINAL) | (_PLAN.c.scratch_ended == 0)
_CANCEL = insert_new(_CANCELLATION)
_UNCANCEL = delete(_CANCELLATION).where(_CANCELLATION.c.plan_id == bindparam("of_plan"))
_FORGET = delete(_MEMO).where(_MEMO.c.memo_key == bindparam("of_key"))
_REMEMBER = insert_new(_MEMO)
_NOTE = "executor"
"""What notes to other executors begin with."""


async def open(url: str, replica: Replica) -> ExecutorState:
    """`sqlite:///path`, `memory:` or `postgresql://...`.

    The ledger holds what must survive a power cut; this must survive a kill.
    """
    return SqlState(await Database.open(url, METADATA, durable=False, secret=replica.secret), replica)


class SqlState:
    """Each write of an execution is one transaction with the step of its plan's `seq`."""

    def __init__(self, db: Database, replica: Replica) -> None:
        self._db = db
        self._clock = replica.clock
        self._lease_us = round(replica.lease_s * 1_000_000)
        self._listener: Listener | None = None
        self._flying: set[str] = set()
        """The memo keys that are held. What an earlier process of this home held is not: nobody prolongs it."""
        self.holder = replica.name if db.replicated else ""

    async def take_plan(self, plan_id: PlanId) -> bool:
        """Hold the plan, unless another executor does."""
        if not self.holder:
            return True

        def take(connection: Connection) -> bool:
            now = now_us(connection, self._clock)
            free = (_PLAN.c.holder == self.holder) | (_PLAN.c.lease_us < now)
            held = {"holder": self.holder, "lease_us": now + self._lease_us}
            taking = update(_PLAN).where(_PLAN.c.plan_id == plan_id.text, free).values(held)
            return connection.execute(taking).rowcount == 1

        return await self._db.write(take)

    async def prolong_leases(self) -> frozenset[PlanId]:
        """Hold on to every plan and every memo key that is held."""
        flying = sorted(self._flying)

        def prolong(connection: Connection) -> list[str]:
            # One that ran out meanwhile, and that nobody took, is held still.
            until = now_us(connection, self._clock) + self._lease_us
            held = update(_PLAN).where(_PLAN.c.holder == self.holder, _OPEN).values(lease_us=until)
            if flying:
                _FLIGHTS.keep(connection, flying, holder=self.holder, until_us=until)
            return list(connection.execute(held.returning(_PLAN.c.plan_id)).scalars())

        return frozenset(map(PlanId, await self._db.write(prolong)))

    def listen(self, hear: Callable[[PlanId], None]) -> None:
        """From now on call `hear` with plans that other executors changed."""

        def heard(note: str) -> None:
            area, _, plan_id = note.partition(" ")
            if area == _NOTE:
                hear(PlanId(plan_id))

        self._listener = self._db.listener(heard, self._clock)
        if self._listener is not None:
            self._listener.start()

    async def add_plan(self, plan: PlanRecord, executions: Sequence[ExecutionRecord]) -> PlanRecord:
        """Record all or nothing, once per `request_id`."""

        def add(connection: Connection) -> PlanRecord:
            if known := _plan_where(connection, _PLAN.c.request_id == plan.request_id):
                if known.request_digest != plan.request_digest:
                    message = "the request id was used with another plan: choose a new one"
                    raise AlreadyExists("REQUEST_ID_TAKEN", message, request_id=plan.request_id)
                return known
            connection.execute(
                insert(_PLAN),
                {
                    "plan_id": plan.plan_id.text,
                    "request_id": plan.request_id,
                    "state": plan.state,
                    "seq": 1,
                    "scratch_ended": int(plan.scratch_ended),
                    "document": plan_to_json(plan),
                },
            )
            connection.execute(
                insert(_EXECUTION),
                [
                    {
                        "execution_id": each.execution_id.text,
                        "plan_id": each.plan_id.text,
                        "ordinal": each.ordinal,
                        "state": each.state,
                        "seq": 1,
                        "document": execution_to_json(each),
                    }
                    for each in executions
                ],
            )
            return replace(plan, seq=1)

        # Two executors may be asked at once; and what is added is carried out by whoever was asked, if he lives.
        return await self._db.write(add, locks=[f"request {plan.request_id}"])

    async def plan_of_request(self, request_id: str) -> PlanRecord | None:
        """The plan that was submitted with this id."""
        return await self._db.read(lambda connection: _plan_where(connection, _PLAN.c.request_id == request_id))

    async def plan(self, plan_id: PlanId) -> PlanRecord:
        """One plan; `NotFound` (`PLAN_UNKNOWN`)."""
        return await self._db.read(lambda connection: _plan(connection, plan_id))

    async def plans(self, *, before: PlanId | None, limit: int) -> list[PlanRecord]:
        """The newest first: plan ids sort by time."""
        query = select(_PLAN).order_by(_PLAN.c.plan_id.desc()).limit(limit)
        if before is not None:
            query = query.where(_PLAN.c.plan_id < before.text)
        rows = await self._db.read(lambda connection: _rows(connection, query))
        return [plan_from_json(row) for row in rows]

    async def open_plans(self) -> list[PlanRecord]:
        """What is to be carried on after a start, the oldest first."""

        def look(connection: Connection) -> list[Mapping[str, Any]]:
            query = select(_PLAN).where(_OPEN).order_by(_PLAN.c.plan_id)
            if self.holder:
                free = _PLAN.c.lease_us < now_us(connection, self._clock)
                query = query.where((_PLAN.c.holder == self.holder) | free)
            return _rows(connection, query)

        return [plan_from_json(row) for row in await self._db.read(look)]

    async def execution(self, execution_id: ExecutionId) -> ExecutionRecord:
        """One execution; `NotFound` (`EXECUTION_UNKNOWN`)."""
        query = select(_EXECUTION).where(_EXECUTION.c.execution_id == execution_id.text)
        rows = await self._db.read(lambda connection: _rows(connection, query))
        if not rows:
            message = f"there is no execution {execution_id}"
            raise NotFound("EXECUTION_UNKNOWN", message, execution_id=execution_id.text)
        return execution_from_json(rows[0])

    async def executions(self, plan_id: PlanId, *, from_ordinal: int, limit: int) -> list[ExecutionRecord]:
        """In the order of the plan."""
        query = (
            select(_EXECUTION)
            .where(_EXECUTION.c.plan_id == plan_id.text, _EXECUTION.c.ordinal >= from_ordinal)
            .order_by(_EXECUTION.c.ordinal)
            .limit(limit)
        )
        rows = await self._db.read(lambda connection: _rows(connection, query))
        return [execution_from_json(row) for row in rows]

    async def changes(self, plan_id: PlanId, *, after_seq: int) -> tuple[PlanRecord, list[ExecutionRecord]]:
        """One consistent view of the plan and of what moved since."""
        query = (
            select(_EXECUTION)
            .where(_EXECUTION.c.plan_id == plan_id.text, _EXECUTION.c.seq > after_seq)
            .order_by(_EXECUTION.c.seq, _EXECUTION.c.ordinal)
        )

        def look(connection: Connection) -> tuple[PlanRecord, list[Mapping[str, Any]]]:
            return _plan(connection, plan_id), _rows(connection, query)

        plan, rows = await self._db.read(look)
        return plan, [execution_from_json(row) for row in rows]

    async def save_plan(self, plan: PlanRecord) -> PlanRecord:
        """Replace the plan; it comes back with its new `seq`."""

        def save(connection: Connection) -> int:
            seq = self._advance(connection, plan.plan_id)
            connection.execute(
                _SET_PLAN,
                {
                    "of_plan": plan.plan_id.text,
                    "new_state": plan.state,
                    "new_scratch_ended": int(plan.scratch_ended),
                    "new_document": plan_to_json(plan),
                },
            )
            if plan.state.terminal:
                connection.execute(_UNCANCEL, {"of_plan": plan.plan_id.text})
            return seq

        return replace(plan, seq=await self._db.write(save))

    async def save_executions(
        self, executions: Sequence[ExecutionRecord], memo: MemoEntry | None = None
    ) -> list[ExecutionRecord]:
        """Replace executions of one plan, and remember a result with them."""
        if not executions:
            return []
        rows = [
            {
                "of_execution": each.execution_id.text,
                "new_state": each.state,
                "new_document": execution_to_json(each),
            }
            for each in executions
        ]

        def save(connection: Connection) -> int:
            seq = self._advance(connection, executions[0].plan_id)
            connection.execute(_SET_EXECUTION, [row | {"new_seq": seq} for row in rows])
            if memo is not None:
                _remember(connection, memo)
            return seq

        seq = await self._db.write(save)
        return [replace(each, seq=seq) for each in executions]

    async def ask_to_cancel(self, plan_id: PlanId, execution_id: ExecutionId | None) -> None:
        """Take down that an execution is to end early, or its whole plan."""
        row = {"plan_id": plan_id.text, "execution_id": execution_id.text if execution_id is not None else ""}
        await self._db.write(lambda connection: connection.execute(_CANCEL, row).close())

    async def asked_to_cancel(self, plan_ids: Sequence[PlanId]) -> list[tuple[PlanId, ExecutionId | None]]:
        """What was taken down of these plans."""
        query = select(_CANCELLATION).where(_CANCELLATION.c.plan_id.in_([each.text for each in plan_ids]))
        rows = await self._db.read(lambda connection: _rows(connection, query))
        return [
            (PlanId(row["plan_id"]), ExecutionId(row["execution_id"]) if row["execution_id"] else None) for row in rows
        ]

    async def line_up(self, execution_id: ExecutionId, line: str, lease_s: float) -> int:
        """Stand in a line; how many stand before it."""

        def stand(connection: Connection) -> int:
            now = now_us(connection, self._clock)
            until = now + round(lease_s * 1_000_000)
            return _LINES.line_up(connection, execution_id.text, line, holder=self.holder, now_us=now, until_us=until)

        # One after the other: a place that another transaction has yet to commit would stand before this one unseen.
        return await self._db.write(stand, locks=[f"line {line}"])

    async def keep_places(self, execution_ids: Collection[ExecutionId], lease_s: float) -> None:
        """Let them stand for another lease."""
        names = [each.text for each in execution_ids]

        def keep(connection: Connection) -> None:
            until = now_us(connection, self._clock) + round(lease_s * 1_000_000)
            _LINES.keep(connection, names, holder=self.holder, until_us=until)

        await self._db.write(keep)

    async def step_out(self, execution_id: ExecutionId) -> None:
        """Stand in no line any more."""
        await self._db.write(lambda connection: _LINES.step_out(connection, execution_id.text, holder=self.holder))

    async def take_flight(self, memo_key: str) -> bool:
        """Have a memo key, unless another executor has it."""
        if not self.holder:
            return True

        def take(connection: Connection) -> bool:
            now = now_us(connection, self._clock)
            until = now + self._lease_us
            return _FLIGHTS.take(connection, memo_key, holder=self.holder, now_us=now, until_us=until)

        # Executors that take the same keys in different orders would wait for each other: the locks have one order.
        if taken := await self._db.write(take, locks=[f"flight {memo_key}"]):
            self._flying.add(memo_key)
        return taken

    async def leave_flight(self, memo_key: str) -> None:
        """Have it no more."""
        # Whatever becomes of the row: nobody prolongs it from here on.
        self._flying.discard(memo_key)
        if self.holder:
            lock = f"flight {memo_key}"
            await self._db.write(
                lambda connection: _FLIGHTS.leave(connection, memo_key, holder=self.holder), locks=[lock]
            )

    async def memo(self, memo_key: str) -> MemoEntry | None:
        """The result that is remembered under this key."""
        query = select(_MEMO).where(_MEMO.c.memo_key == memo_key)
        rows = await self._db.read(lambda connection: _rows(connection, query))
        return memo_from_json(rows[0]) if rows else None

    async def memos(self, memo_keys: Sequence[str]) -> Mapping[str, MemoEntry]:
        """The results that are remembered under these keys."""
        query = select(_MEMO).where(_MEMO.c.memo_key.in_(memo_keys))
        rows = await self._db.read(lambda connection: _rows(connection, query))
        return {row["memo_key"]: memo_from_json(row) for row in rows}

    async def recent_components(
        self, processor: Ref, *, write_prefix: str | None, limit: int
    ) -> list[Mapping[str, JSON]]:
        """What the latest keys of this processor were made of; those of the same place first."""
        latest = (
            select(_MEMO.c.document)
            .where(_MEMO.c.processor_name == _unversioned(processor))
            .order_by(_MEMO.c.position.desc())
            .limit(limit)
        )
        here = latest.where(_MEMO.c.write_prefix == (write_prefix or ""))

        def look(connection: Connection) -> list[Mapping[str, Any]]:
            return _rows(connection, here) or _rows(connection, latest)

        return [components_in(row) for row in await self._db.read(look)]

    async def close(self) -> None:
        """Give the database back."""
        if self._listener is not None:
            await self._listener.close()
        await self._db.close()

    def _advance(self, connection: Connection, plan_id: PlanId) -> int:
        step = {"of_plan": plan_id.text, "steps": 1, "by_holder": self.holder}
        seq = connection.execute(_NEXT_SEQ, step).scalar_one_or_none()
        if seq is None:
            _plan(connection, plan_id)
            raise Conflict("LEASE_LOST", "another executor carries the plan out", plan_id=plan_id.text)
        note(connection, f"{_NOTE} {plan_id}")
        return int(seq)


def _remember(connection: Connection, memo: MemoEntry) -> None:
    """Keep the latest result of a key: the nearest to find again is the newest. Where two remember one, one is kept."""
    row = {
        "memo_key": memo.memo_key,
        "processor_name": _unversioned(memo.processor),
        "write_prefix": memo.components["write_prefix"] or "",
        "document": memo_to_json(memo),
    }
    connection.execute(_FORGET, {"of_key": memo.memo_key})
    connection.execute(_REMEMBER, row)


def _plan(connection: Connection, plan_id: PlanId) -> PlanRecord:
    if (plan := _plan_where(connection, _PLAN.c.plan_id == plan_id.text)) is None:
        raise _unknown(plan_id)
    return plan


def _plan_where(connection: Connection, clause: ColumnElement[bool]) -> PlanRecord | None:
    row = connection.execute(select(_PLAN).where(clause)).mappings().first()
    return plan_from_json(dict(row)) if row is not None else None


def _rows(connection: Connection, query: Executable) -> list[Mapping[str, Any]]:
    return [dict(row) for row in connection.execute(query).mappings()]


def _unversioned(processor: Ref) -> str:
    return processor.text.partition("@")[0]


def _unknown(plan_id: PlanId) -> NotFound:
    return NotFound("PLAN_UNKNOWN", f"there is no plan {plan_id}", plan_id=plan_id.text)
