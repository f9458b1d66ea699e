"""What every artifact store promises about the outputs of attempts, over the wire."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable

from theory.api.artifacts.v1 import artifacts_pb2 as pb
from theory.api.artifacts.v1.artifacts_pb2_grpc import ArtifactsServiceStub
from theory.core.artifact import Output
from theory.core.binding import Abortion, Commitment, Preparation
from theory.core.cid import Cid
from theory.core.errors import AlreadyExists, Conflict, Denied, Invalid, NotFound, NotReady, TheoryError
from theory.core.ids import ExecutionId, PlanId
from theory.core.world_path import WorldName, WorldPath
from theory.sdk.artifacts import ArtifactsClient
from theory.testing.case import Target, case
from theory.testing.cases.ledger_plan import LedgerPlan
from theory.testing.refusals import refusal, refused
from theory.wire.channel import call
from theory.wire.identity import ANYONE, Role
from theory.wire.status import item_error

ONE, TWO = b"one", b"other"
_LONG_S = 3600.0
"""Longer than any store waits until it doubts a reservation."""


class _Plan:
    """A plan with a world of its own, whose executions are named by one letter."""

    def __init__(self, target: Target) -> None:
        self.plan_id = PlanId.parse(target.fresh("plan"))
        self.world = WorldName.parse(self.plan_id.text)
        self.executor = ArtifactsClient(target.channel(Role.EXECUTOR))

    @classmethod
    async def of(cls, target: Target) -> "_Plan":
        plan = cls(target)
        await plan.executor.put_blobs_many([ONE, TWO])
        return plan

    def execution(self, name: str) -> ExecutionId:
        return ExecutionId.parse(f"{self.plan_id}.{name}")

    def preparation(self, name: str, epoch: int, *paths: str, data: bytes = ONE) -> Preparation:
        return Preparation(self.world, self.plan_id, self.execution(name), epoch, _outputs(paths, data))

    async def prepare(self, name: str, epoch: int, *paths: str, data: bytes = ONE) -> None:
        await self.executor.prepare(self.preparation(name, epoch, *paths, data=data))

    async def commit(self, name: str, epoch: int, *paths: str, data: bytes = ONE) -> None:
        execution_id, outputs = self.execution(name), _outputs(paths, data)
        await self.executor.commit(Commitment(self.world, self.plan_id, execution_id, epoch, "b3:receipt", outputs))

    async def abort(self, name: str, epoch: int) -> None:
        await self.executor.abort(Abortion(self.execution(name), epoch))

    async def write(self, path: str, data: bytes = ONE) -> None:
        await self.executor.put_bytes(self.world, WorldPath(path), data)

    async def bound(self) -> dict[str, Cid]:
        return {each.path.text: each.cid async for each in self.executor.list(self.world)}


def _outputs(paths: Iterable[str], data: bytes) -> tuple[Output, ...]:
    return tuple(Output(WorldPath(path), Cid.of(data), len(data), "text/plain") for path in paths)


@case()
async def outputs_appear_when_they_are_committed(target: Target) -> None:
    """What is prepared is not there yet; committed, it is bound exactly as it was prepared (I-14, I-17)."""
    plan = await _Plan.of(target)
    await plan.prepare("x", 1, "/artifacts/a", "/artifacts/b/c")
    assert await plan.bound() == {}
    await refusal(plan.executor.stat(plan.world, WorldPath("/artifacts/a")), NotFound, "ARTIFACT_UNKNOWN")
    await plan.commit("x", 1, "/artifacts/a", "/artifacts/b/c")
    assert await plan.bound() == {"/artifacts/a": Cid.of(ONE), "/artifacts/b/c": Cid.of(ONE)}
    found = await plan.executor.stat(plan.world, WorldPath("/artifacts/a"))
    assert (found.size_bytes, found.content_type) == (len(ONE), "text/plain")


@case()
async def all_outputs_are_prepared_or_none(target: Target) -> None:
    """One output that cannot be reserved leaves the others free: bound, shadowed, mis-sized, without blob (I-14)."""
    plan = await _Plan.of(target)
    await plan.write("/artifacts/taken", TWO)
    error = await refusal(plan.prepare("x", 1, "/artifacts/a", "/artifacts/taken"), AlreadyExists, "PATH_BOUND")
    assert error.metadata == {"path": "/artifacts/taken", "cid": Cid.of(TWO).text}
    await refusal(plan.prepare("x", 1, "/artifacts/a/b", "/artifacts/taken/b"), AlreadyExists, "PATH_SHADOWED")
    await refusal(plan.prepare("x", 1, "/artifacts/a", data=target.fresh("none").encode()), NotFound, "BLOB_UNKNOWN")
    wrong = (*_outputs(["/artifacts/a"], ONE), Output(WorldPath("/artifacts/b"), Cid.of(ONE), 4))
    item = Preparation(plan.world, plan.plan_id, plan.execution("x"), 1, wrong)
    await refusal(plan.executor.prepare(item), Invalid, "SIZE_MISMATCH")
    await plan.prepare("y", 1, "/artifacts/a")


@case()
async def a_reserved_path_admits_nobody_else(target: Target) -> None:
    """Others, direct writes and the same bytes included, are `Conflict PATH_RESERVED` until it is over (I-15)."""
    plan = await _Plan.of(target)
    await plan.prepare("x", 1, "/artifacts/a/b")
    for path in ("/artifacts/a/b", "/artifacts/a", "/artifacts/a/b/c"):
        for attempt in (plan.prepare("y", 1, path), plan.write(path)):
            error = await refusal(attempt, Conflict, "PATH_RESERVED")
            assert error.metadata["execution_id"] == plan.execution("x").text
    await plan.abort("x", 1)
    await plan.prepare("y", 1, "/artifacts/a")
    await plan.commit("y", 1, "/artifacts/a")
    await refusal(plan.prepare("x", 2, "/artifacts/a/b"), AlreadyExists, "PATH_SHADOWED")


@case()
async def worlds_reserve_apart(target: Target) -> None:
    """A path reserved in one world is free in another (I-5)."""
    one, two = await _Plan.of(target), await _Plan.of(target)
    await one.prepare("x", 1, "/artifacts/a")
    await two.prepare("x", 1, "/artifacts/a/b")
    await two.write("/artifacts/c")


@case()
async def of_executions_that_race_for_a_path_one_gets_it(target: Target) -> None:
    """Sixteen prepares at once, of a path and of one below it: exactly one succeeds, the rest may retry (I-15)."""
    plan = await _Plan.of(target)
    names = [f"x{n}" for n in range(16)]
    paths = ["/artifacts/prize" if n % 2 else "/artifacts/prize/part" for n in range(16)]
    clients = [ArtifactsClient(target.channel(Role.EXECUTOR)) for _ in names]

    async def prepare(client: ArtifactsClient, name: str, path: str) -> TheoryError | None:
        (outcome,) = await client.prepare_many([plan.preparation(name, 1, path)])
        return outcome

    outcomes = await asyncio.gather(*map(prepare, clients, names, paths))
    assert outcomes.count(None) == 1
    for outcome in outcomes:
        if outcome is not None:
            refused(outcome, Conflict, "PATH_RESERVED")
    won = outcomes.index(None)
    await plan.commit(names[won], 1, paths[won])
    assert list(await plan.bound()) == [paths[won]]


@case()
async def outputs_are_never_a_file_and_a_folder(target: Target) -> None:
    """Not within one attempt, which then reserves nothing, nor between two of a batch: the first has both (I-9)."""
    plan = await _Plan.of(target)
    await refusal(plan.prepare("x", 1, "/artifacts/a/b", "/artifacts/a"), AlreadyExists, "PATH_SHADOWED")
    items = [plan.preparation("y", 1, "/artifacts/a/b"), plan.preparation("z", 1, "/artifacts/a", "/artifacts/c")]
    first, second = await plan.executor.prepare_many(items)
    assert first is None
    refused(second, Conflict, "PATH_RESERVED")
    await plan.commit("y", 1, "/artifacts/a/b")
    await refusal(plan.prepare("z", 2, "/artifacts/a", "/artifacts/c"), AlreadyExists, "PATH_SHADOWED")
    assert list(await plan.bound()) == ["/artifacts/a/b"]
    await plan.write("/artifacts/c/d")


@case()
async def a_write_that_races_an_attempt_leaves_a_file_or_a_folder(target: Target) -> None:
    """Whichever of the two comes first, the other is refused, and one of the paths is bound in the end (I-9, I-15)."""
    plan = await _Plan.of(target)

    async def attempt(name: str, path: str) -> None:
        await plan.prepare(name, 1, path)
        await plan.commit(name, 1, path)

    for n in range(16):
        file, part = f"/artifacts/{n}", f"/artifacts/{n}/part"
        inner, outer = (file, part) if n % 2 else (part, file)
        ended = await asyncio.gather(attempt(f"x{n}", inner), plan.write(outer), return_exceptions=True)
        (error,) = [each for each in ended if each is not None]
        assert isinstance(error, AlreadyExists | Conflict), error
        assert error.reason in {"PATH_SHADOWED", "PATH_RESERVED"}
        assert list((await plan.bound()).keys() & {file, part}) == [inner if ended[0] is None else outer]


@case()
async def a_prepare_can_be_repeated(target: Target) -> None:
    """The same execution, epoch and outputs again change nothing, also after the commit (I-14)."""
    plan = await _Plan.of(target)
    await plan.prepare("x", 1, "/artifacts/a")
    await plan.prepare("x", 1, "/artifacts/a")
    await plan.commit("x", 1, "/artifacts/a")
    await plan.prepare("x", 1, "/artifacts/a")
    assert await plan.bound() == {"/artifacts/a": Cid.of(ONE)}


@case()
async def an_epoch_prepares_one_set_of_outputs(target: Target) -> None:
    """Other outputs at the same epoch are `Conflict EPOCH_FENCED`: the first may be settled already (I-16)."""
    plan = await _Plan.of(target)
    await plan.prepare("x", 1, "/artifacts/a")
    await refusal(plan.prepare("x", 1, "/artifacts/b"), Conflict, "EPOCH_FENCED")
    await refusal(plan.prepare("x", 1, "/artifacts/a", data=TWO), Conflict, "EPOCH_FENCED")
    await plan.commit("x", 1, "/artifacts/a")


@case()
async def a_higher_epoch_replaces_a_lower_one(target: Target) -> None:
    """Its reservations take the place of those of lower epochs, which are fenced from then on (I-16)."""
    plan = await _Plan.of(target)
    await plan.prepare("x", 1, "/artifacts/a/b", "/artifacts/c")
    await plan.prepare("x", 3, "/artifacts/a", data=TWO)
    await plan.prepare("y", 1, "/artifacts/c")
    for epoch in (1, 2):
        error = await refusal(plan.prepare("x", epoch, "/artifacts/d"), Conflict, "EPOCH_FENCED")
        assert error.metadata == {"epoch": str(epoch), "current_epoch": "3"}
    await refusal(plan.commit("x", 1, "/artifacts/a/b"), NotReady, "BINDING_UNPREPARED")
    await plan.commit("x", 3, "/artifacts/a", data=TWO)
    assert await plan.bound() == {"/artifacts/a": Cid.of(TWO)}


@case()
async def a_late_prepare_is_fenced(target: Target) -> None:
    """An epoch that was aborted, committed or overtaken prepares nothing, however late it comes (I-16)."""
    plan = await _Plan.of(target)
    await plan.abort("never", 2)
    await plan.prepare("aborted", 2, "/artifacts/a")
    await plan.abort("aborted", 2)
    await plan.prepare("committed", 2, "/artifacts/b")
    await plan.commit("committed", 2, "/artifacts/b")
    for name in ("never", "aborted", "committed"):
        for epoch in (1, 2):
            await refusal(plan.prepare(name, epoch, "/artifacts/late"), Conflict, "EPOCH_FENCED")
    await plan.prepare("aborted", 3, "/artifacts/late")


@case()
async def a_path_bound_to_the_same_bytes_stands_in_nobodys_way(target: Target) -> None:
    """Several executions may prepare and commit what is bound already; its create time stays (I-6)."""
    plan = await _Plan.of(target)
    await plan.write("/artifacts/a")
    before = await plan.executor.stat(plan.world, WorldPath("/artifacts/a"))
    await plan.prepare("x", 1, "/artifacts/a", "/artifacts/x")
    await plan.prepare("y", 1, "/artifacts/a", "/artifacts/y")
    await plan.commit("x", 1, "/artifacts/a", "/artifacts/x")
    await plan.commit("y", 1, "/artifacts/a", "/artifacts/y")
    assert await plan.executor.stat(plan.world, WorldPath("/artifacts/a")) == before


@case()
async def a_commit_can_be_repeated(target: Target) -> None:
    """The first binds, every other finds it done, many at once too (I-17)."""
    plan = await _Plan.of(target)
    await plan.prepare("x", 1, "/artifacts/a")
    await asyncio.gather(*(plan.commit("x", 1, "/artifacts/a") for _ in range(8)))
    before = await plan.executor.stat(plan.world, WorldPath("/artifacts/a"))
    await plan.commit("x", 1, "/artifacts/a")
    assert await plan.executor.stat(plan.world, WorldPath("/artifacts/a")) == before


@case()
async def a_commit_binds_what_the_receipt_names_and_nothing_else(target: Target) -> None:
    """What was prepared and is not named is freed; a receipt without outputs frees it all (I-17, I-67)."""
    plan = await _Plan.of(target)
    await plan.prepare("x", 1, "/artifacts/a", "/artifacts/b")
    await plan.commit("x", 1, "/artifacts/a")
    await plan.prepare("y", 1, "/artifacts/c")
    await plan.commit("y", 1)
    await plan.prepare("z", 1, "/artifacts/b", "/artifacts/c")
    assert list(await plan.bound()) == ["/artifacts/a"]


@case()
async def what_was_not_prepared_is_not_committed(target: Target) -> None:
    """`NotReady BINDING_UNPREPARED`, or `AlreadyExists PATH_BOUND` with other bytes there; nothing is bound (I-17)."""
    plan = await _Plan.of(target)
    await plan.prepare("y", 1, "/artifacts/of-y")
    await plan.prepare("x", 2, "/artifacts/a")
    await plan.write("/artifacts/taken", TWO)
    for epoch, paths in ((2, ["/artifacts/a", "/artifacts/none"]), (1, ["/artifacts/a"]), (2, ["/artifacts/of-y"])):
        error = await refusal(plan.commit("x", epoch, *paths), NotReady, "BINDING_UNPREPARED")
        assert set(error.metadata) == {"path", "execution_id"}
    await refusal(plan.commit("x", 2, "/artifacts/a", data=TWO), NotReady, "BINDING_UNPREPARED")
    await refusal(plan.commit("x", 2, "/artifacts/a", "/artifacts/taken"), AlreadyExists, "PATH_BOUND")
    assert list(await plan.bound()) == ["/artifacts/taken"]
    await plan.commit("x", 2, "/artifacts/a")


@case()
async def an_abort_frees_what_was_reserved_and_nothing_else(target: Target) -> None:
    """Reservations up to the epoch are dropped, higher ones and what is bound stay; a repeat changes nothing (I-67)."""
    plan = await _Plan.of(target)
    await plan.prepare("bound", 1, "/artifacts/a")
    await plan.commit("bound", 1, "/artifacts/a")
    await plan.prepare("higher", 2, "/artifacts/b")
    await plan.prepare("dropped", 1, "/artifacts/c")
    for name in ("bound", "higher", "dropped", "dropped", "unknown"):
        await plan.abort(name, 1)
    await plan.write("/artifacts/c")
    await refusal(plan.write("/artifacts/b"), Conflict, "PATH_RESERVED")
    assert list(await plan.bound()) == ["/artifacts/a", "/artifacts/c"]
    await refusal(plan.commit("dropped", 1, "/artifacts/d"), NotReady, "BINDING_UNPREPARED")


@case()
async def items_of_a_batch_are_decided_in_order_and_apart(target: Target) -> None:
    """A hundred executions share a call; each has its own status, a bad one stops no other (I-86)."""
    plan = await _Plan.of(target)
    items = [plan.preparation(f"x{n}", 1, f"/artifacts/{n // 2}") for n in range(100)]
    outcomes = await plan.executor.prepare_many(items)
    assert outcomes[::2] == [None] * 50
    for outcome in outcomes[1::2]:
        refused(outcome, Conflict, "PATH_RESERVED")
    commits = [Commitment(item.world, item.plan_id, item.execution_id, 1, "b3:receipt", item.outputs) for item in items]
    committed = await plan.executor.commit_many(commits)
    assert committed == [None] * 100  # the others find their bytes bound
    assert len(await plan.bound()) == 50


@case()
async def malformed_items_are_refused_one_by_one(target: Target) -> None:
    """Each field that is wrong is `Invalid` for its own item alone (I-86, I-89)."""
    plan = await _Plan.of(target)
    stub = ArtifactsServiceStub(target.channel(Role.EXECUTOR))
    sound = pb.PrepareBindingsRequest.Item(
        world=plan.world.text, plan_id=plan.plan_id.text, execution_id=plan.execution("x").text, epoch=1
    )
    output = pb.Output(world_path="/artifacts/a", cid=Cid.of(ONE).text, size_bytes=len(ONE))
    changes: list[tuple[str, Callable[[pb.PrepareBindingsRequest.Item], object]]] = [
        ("WORLD_INVALID", lambda item: setattr(item, "world", "")),
        ("ID_INVALID", lambda item: setattr(item, "plan_id", "")),
        ("ID_INVALID", lambda item: setattr(item, "execution_id", "../x")),
        ("FIELD_INVALID", lambda item: setattr(item, "epoch", 0)),
        ("FIELD_INVALID", lambda item: setattr(item.outputs[0], "size_bytes", -1)),
        ("PATH_INVALID", lambda item: setattr(item.outputs[0], "world_path", "/artifacts/../a")),
        ("PATH_INVALID", lambda item: setattr(item.outputs[0], "world_path", "/streams/a")),
        ("CID_INVALID", lambda item: setattr(item.outputs[0], "cid", "")),
        ("FIELD_INVALID", lambda item: setattr(item.outputs[0], "content_type", "none")),
        ("FIELD_INVALID", lambda item: item.outputs.append(item.outputs[0])),
        ("BATCH_SIZE", lambda item: item.outputs.extend([output] * 10_000)),
    ]
    request = pb.PrepareBindingsRequest()
    for _, change in changes:
        item = request.items.add()
        item.CopyFrom(sound)
        item.outputs.append(output)
        change(item)
    request.items.append(sound)
    *bad, good = (await call(stub.PrepareBindings, request, timeout_s=30)).statuses
    for status, (reason, _) in zip(bad, changes, strict=True):
        refused(item_error(status), Invalid, reason)
    assert item_error(good) is None
    commit = pb.CommitBindingsRequest.Item(
        world=sound.world, plan_id=sound.plan_id, execution_id=sound.execution_id, epoch=1
    )
    (status,) = (await call(stub.CommitBindings, pb.CommitBindingsRequest(items=[commit]))).statuses
    assert refused(item_error(status), Invalid, "FIELD_INVALID").metadata == {"field": "receipt_id"}
    abort = pb.AbortBindingsRequest.Item(execution_id=sound.execution_id)
    (status,) = (await call(stub.AbortBindings, pb.AbortBindingsRequest(items=[abort]))).statuses
    assert refused(item_error(status), Invalid, "FIELD_INVALID").metadata == {"field": "epoch"}


@case()
async def batches_of_attempts_have_limits(target: Target) -> None:
    """None, or more than 100, are `Invalid BATCH_SIZE`, as a whole (I-89)."""
    stub = ArtifactsServiceStub(target.channel(Role.EXECUTOR))
    for count in (0, 101):
        asked: list[Awaitable[object]] = [
            call(stub.PrepareBindings, pb.PrepareBindingsRequest(items=[pb.PrepareBindingsRequest.Item()] * count)),
            call(stub.CommitBindings, pb.CommitBindingsRequest(items=[pb.CommitBindingsRequest.Item()] * count)),
            call(stub.AbortBindings, pb.AbortBindingsRequest(items=[pb.AbortBindingsRequest.Item()] * count)),
        ]
        for each in asked:
            assert (await refusal(each, Invalid, "BATCH_SIZE")).metadata == {"max": "100"}


@case()
async def an_attempt_of_many_outputs_is_prepared_whole(target: Target) -> None:
    """Ten thousand outputs are reserved and bound in one piece (I-14)."""
    plan = await _Plan.of(target)
    paths = [f"/artifacts/{n % 100}/{n}" for n in range(10_000)]
    await plan.prepare("x", 1, *paths)
    await refusal(plan.prepare("y", 1, "/artifacts/99"), Conflict, "PATH_RESERVED")
    await plan.commit("x", 1, *paths)
    assert len(await plan.bound()) == len(paths)


@case()
async def only_the_executor_prepares_commits_and_aborts(target: Target) -> None:
    """Everyone else is `Denied ROLE_DENIED` (I-84)."""
    plan = await _Plan.of(target)
    preparation = plan.preparation("x", 1, "/artifacts/a")
    commitment = Commitment(plan.world, plan.plan_id, preparation.execution_id, 1, "b3:receipt", ())
    for role in ANYONE - {Role.EXECUTOR}:
        client = ArtifactsClient(target.channel(role))
        await refusal(client.prepare(preparation), Denied, "ROLE_DENIED")
        await refusal(client.commit(commitment), Denied, "ROLE_DENIED")
        await refusal(client.abort(Abortion(preparation.execution_id, 1)), Denied, "ROLE_DENIED")
    await plan.write("/artifacts/a")


@case("LEDGER", "CLOCK")
async def what_was_settled_is_bound_though_nobody_commits_it(target: Target) -> None:
    """A reservation whose executor is gone is asked about at the ledger, and committed as settled (I-18, I-66)."""
    plan, ledger = await _Plan.of(target), LedgerPlan(target)
    claimed = await ledger.claim()
    outputs = _outputs(["/artifacts/a", "/artifacts/b"], ONE)
    await plan.executor.prepare(Preparation(plan.world, ledger.plan_id, ledger.execution(), claimed.epoch, outputs))
    await ledger.ledger.settle(ledger.end(claimed.epoch, outputs=outputs[:1]))
    async with asyncio.timeout(20):
        while not await plan.bound():
            await target.advance(_LONG_S)
            await asyncio.sleep(0.02)
    assert await plan.bound() == {"/artifacts/a": Cid.of(ONE)}
    await plan.write("/artifacts/b/c")


@case("LEDGER", "CLOCK")
async def what_was_never_settled_is_freed_only_once_it_never_can_be(target: Target) -> None:
    """A reservation in doubt is dropped after the ledger has fenced its epoch, whose settle is then refused (I-18)."""
    plan, ledger = await _Plan.of(target), LedgerPlan(target)
    claimed = await ledger.claim()
    outputs = _outputs(["/artifacts/a"], ONE)
    await plan.executor.prepare(Preparation(plan.world, ledger.plan_id, ledger.execution(), claimed.epoch, outputs))
    await refusal(plan.write("/artifacts/a", TWO), Conflict, "PATH_RESERVED")
    async with asyncio.timeout(20):
        while not await plan.bound():
            await target.advance(_LONG_S)
            await asyncio.sleep(0.02)
            with contextlib.suppress(Conflict):
                await plan.write("/artifacts/a", TWO)
    await refusal(ledger.ledger.settle(ledger.end(claimed.epoch, outputs=outputs)), Conflict, "EPOCH_FENCED")
    assert (await ledger.claim(idx=1)).epoch > claimed.epoch
