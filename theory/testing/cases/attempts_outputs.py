"""What every artifact store promises of what an attempt prepares, and of its end, over the wire."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from theory.core.artifact import Output
from theory.core.binding import Abortion, AttemptInputs, Commitment, Preparation
from theory.core.cid import Cid
from theory.core.errors import Conflict, NotFound
from theory.core.ids import ExecutionId, PlanId
from theory.core.world_path import WorldName, WorldPath
from theory.sdk.artifacts import ArtifactPut, ArtifactsClient
from theory.testing.case import Target, case
from theory.testing.cases.attempt_grants import OUT, Speaker, denied
from theory.testing.cases.attempts import READ, Seen, same
from theory.testing.refusals import refusal, refused
from theory.wire.identity import Role

MINE = WorldPath(f"{OUT}/mine")


def _preparation(seen: Seen, *outputs: tuple[WorldPath, bytes], epoch: int = 1) -> Preparation:
    prepared = tuple(Output(path, Cid.of(data), len(data)) for path, data in outputs)
    return Preparation(seen.world, seen.grant.plan_id, seen.grant.execution_id, epoch, prepared)


async def _outcomes(asked: Sequence[Preparation], ours: ArtifactsClient) -> list[object]:
    """How each ended, asked for by itself."""
    return list(await asyncio.gather(*(ours.prepare_many([each]) for each in asked), return_exceptions=True))


@case("ATTEMPTS")
async def an_attempt_prepares_what_it_uploaded_and_what_it_reads(target: Target) -> None:
    """Its reservation is like the executor's: nobody sees it before the executor commits it (I-143, I-14)."""
    seen = await Seen.of(target)
    await seen.ours.put_blobs_many([seen.nowhere])
    prepared = _preparation(seen, (MINE, seen.nowhere), (WorldPath(f"{OUT}/copy"), seen.input))
    assert await seen.ours.prepare_many([prepared, prepared]) == [None, None]
    await refusal(seen.theirs.stat(seen.world, MINE), NotFound, "ARTIFACT_UNKNOWN")
    settled = Commitment(seen.world, seen.grant.plan_id, seen.grant.execution_id, 1, "b3:receipt", prepared.outputs)
    await seen.executor.commit(settled)
    assert await seen.theirs.get_bytes(seen.world, MINE) == seen.nowhere


@case("ATTEMPTS")
async def an_attempt_prepares_no_blob_of_somebody_else(target: Target) -> None:
    """It is refused as one that does not exist, and nothing of the item is reserved (I-13, I-141, I-143)."""
    seen = await Seen.of(target)
    await seen.ours.put_blobs_many([seen.nowhere])
    other, absent = WorldPath(f"{OUT}/other"), target.fresh("absent").encode()
    asked = [_preparation(seen, (MINE, seen.nowhere), (other, data)) for data in (seen.secret, absent)]
    there, not_there = await seen.ours.prepare_many(asked)
    refused(there, NotFound, "BLOB_UNKNOWN")
    same(there, not_there)
    await seen.theirs.put(seen.world, ArtifactPut(MINE, b"free"))


@case("ATTEMPTS")
async def a_bound_path_does_not_show_an_attempt_what_it_holds(target: Target) -> None:
    """A guess that is right and one that is wrong are refused alike (I-141)."""
    seen = await Seen.of(target)
    await seen.theirs.put(seen.world, ArtifactPut(MINE, seen.secret))
    right, wrong = await seen.ours.prepare_many(
        [_preparation(seen, (MINE, seen.secret)), _preparation(seen, (MINE, seen.nowhere))]
    )
    refused(right, NotFound, "BLOB_UNKNOWN")
    same(right, wrong)


@case("ATTEMPTS")
async def an_attempt_prepares_inside_of_its_write_set(target: Target) -> None:
    """Any other path is `Denied ATTEMPT_DENIED`, one whose name merely begins alike, too (I-143)."""
    seen = await Seen.of(target)
    await seen.ours.put_blobs_many([seen.nowhere])
    paths = [f"{OUT}2/a", OUT, "/artifacts/a", READ.text]
    asked = [_preparation(seen, (MINE, seen.nowhere), (WorldPath(path), seen.nowhere)) for path in paths]
    for answer in await _outcomes(asked, seen.ours):
        denied(answer, "outputs")
    await seen.theirs.put(seen.world, ArtifactPut(MINE, b"free"))


@case("ATTEMPTS")
async def an_attempt_prepares_for_itself_alone(target: Target) -> None:
    """Another execution, epoch, plan or world is `Denied ATTEMPT_DENIED` (I-143)."""
    seen = await Seen.of(target)
    await seen.ours.put_blobs_many([seen.nowhere])
    mine = _preparation(seen, (MINE, seen.nowhere))
    other = target.fresh("plan")
    by_field = {
        "execution_id": replace(mine, execution_id=ExecutionId.parse(f"{seen.grant.plan_id}.b")),
        "epoch": replace(mine, epoch=2),
        "plan_id": replace(mine, plan_id=PlanId.parse(other)),
        "world": replace(mine, world=WorldName.parse(other)),
    }
    for field, answer in zip(by_field, await _outcomes(list(by_field.values()), seen.ours), strict=True):
        denied(answer, field)
    await seen.theirs.put(seen.world, ArtifactPut(MINE, b"free"))


@case("ATTEMPTS")
async def a_settled_attempt_brings_nothing_and_reads_nothing(target: Target) -> None:
    """Once its execution was committed or aborted its token opens nothing more, however long it holds (I-144)."""
    for settle in ("commit", "abort"):
        seen = await Seen.of(target)
        await seen.ours.put_blobs_many([seen.nowhere])
        execution_id = seen.grant.execution_id
        if settle == "commit":
            await seen.executor.commit(Commitment(seen.world, seen.grant.plan_id, execution_id, 1, "b3:receipt", ()))
        else:
            await seen.executor.abort(Abortion(execution_id, 1))
        await refusal(seen.ours.put_blobs_many([b"late"]), Conflict, "EPOCH_FENCED")
        await refusal(seen.ours.put_blob(bytes(2 << 20)), Conflict, "EPOCH_FENCED")
        cids = [Cid.of(seen.input), Cid.of(seen.nowhere)]
        assert await seen.ours.find_missing(cids) == cids
        await refusal(seen.ours.stat(seen.world, READ), NotFound, "ARTIFACT_UNKNOWN")
        [late] = await seen.ours.prepare_many([_preparation(seen, (MINE, seen.nowhere))])
        refused(late, NotFound, "BLOB_UNKNOWN")
        await seen.theirs.put(seen.world, ArtifactPut(MINE, b"free"))


@case("ATTEMPTS")
async def the_next_attempt_closes_the_one_before(target: Target) -> None:
    """What is opened to a higher epoch is closed to the lower one, whose inputs cannot be opened again (I-144)."""
    seen = await Seen.of(target)
    await seen.tell(READ, epoch=2)
    next_one = await Speaker.of(target, replace(seen.grant, attempt_idx=1, epoch=2))
    await refusal(seen.ours.get_blob(Cid.of(seen.input)), NotFound, "BLOB_UNKNOWN")
    assert await ArtifactsClient(next_one.channel).get_blob(Cid.of(seen.input)) == seen.input
    await refusal(seen.tell(READ), Conflict, "EPOCH_FENCED")


@case()
async def inputs_are_opened_whole_or_not_at_all(target: Target) -> None:
    """One that is not stored refuses its attempt, and no other of the batch; a repeat changes nothing (I-141)."""
    executor = ArtifactsClient(target.channel(Role.EXECUTOR))
    plan_id = PlanId.parse(target.fresh("plan"))
    world, data, absent = WorldName.parse(plan_id.text), target.fresh("data").encode(), target.fresh("absent").encode()
    await executor.put_blobs_many([data])

    def item(name: str, *contents: bytes) -> AttemptInputs:
        paths = [WorldPath(f"/artifacts/in/{at}") for at in range(len(contents))]
        inputs = tuple((path, Cid.of(each)) for path, each in zip(paths, contents, strict=True))
        return AttemptInputs(world, plan_id, ExecutionId.parse(f"{plan_id}.{name}"), 1, inputs)

    answers = await executor.pin_inputs_many([item("a", data, absent), item("b", data), item("c"), item("b", data)])
    refused(answers[0], NotFound, "BLOB_UNKNOWN")
    assert answers[1:] == [None, None, None]
