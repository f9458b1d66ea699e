"""The tests of services/executor/domain/run.py."""

import asyncio
import os
from pathlib import Path

import pytest

from services.executor.domain.run import SCRATCH_DIR, WORLD_MOUNT
from tests.clocks import AskedClock
from tests.documents import asks, plan, policy, predicate, schema, step, tool
from tests.embedded import Embedded, embedded
from tests.scripted import Act, ScriptedRuntime, failing
from theory.core import jcs
from theory.core.context import ExpandedContext
from theory.core.errors import Conflict, Exhausted, NotReady, Unavailable
from theory.core.ids import ExecutionId
from theory.core.jcs import JSON
from theory.core.receipt import AttemptOutcome
from theory.core.world_path import WorldPath
from theory.sdk.ledger import LedgerClient
from theory.sdk.views import ExecutionView
from theory.wire.identity import Role

pytestmark = pytest.mark.asyncio(loop_scope="module")


def _why(execution: ExecutionView) -> tuple[str, str]:
    assert execution.outcome is not None
    assert execution.failure is not None
    return execution.outcome.value, execution.failure.reason


def _one_folder() -> tuple[dict[str, JSON], dict[str, JSON]]:
    """Two transitions that write to the same place, one after the other."""
    prefix = "/artifacts/outputs/"
    return step("a", write_prefix=prefix, inputs={"n": 1}), step("b", "a", write_prefix=prefix, inputs={"n": 2})


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (AttemptOutcome.FAILED, "PROCESSOR_FAILED"),
        (AttemptOutcome.TIMED_OUT, "PROCESSOR_TIMED_OUT"),
        (AttemptOutcome.OOM, "PROCESSOR_OOM"),
        (AttemptOutcome.LOST, "ATTEMPT_LOST"),
    ],
)
async def test_an_end_that_is_no_success_has_a_reason(theory: Embedded, outcome: AttemptOutcome, reason: str) -> None:
    theory.runtime.scripts["step"] = act = failing(outcome, log="the last words")
    ran = await theory.run_plan(plan(step()))
    assert _why(ran["step"]) == (outcome.value, reason)
    assert ran["step"].log_tail == "the last words"
    assert not {"collected", "prepared", "committed"} & set(theory.reached)
    [receipt] = await theory.receipts(ran.plan.plan_id)
    assert receipt.document.get("exit_code") == act.exit_code


async def test_an_attempt_that_took_too_long_says_how_long_it_had(theory: Embedded) -> None:
    theory.runtime.scripts["step"] = failing(AttemptOutcome.TIMED_OUT)
    ran = await theory.run_plan(plan(step()))
    assert ran["step"].failure is not None
    assert ran["step"].failure.metadata == {"timeout_s": "60"}


async def test_a_bug_of_a_runtime_ends_that_attempt_alone(theory: Embedded) -> None:
    theory.runtime.scripts["a"] = Act(raises=ValueError("a bug with a /host/path"))
    ran = await theory.run_plan(plan(step("a"), step("b")))
    assert ran.states == {"a": "failed", "b": "succeeded"}
    assert _why(ran["a"]) == ("failed", "INTERNAL")
    assert ran["a"].failure is not None
    assert "/host" not in ran["a"].failure.message
    await theory.check(ran.plan.plan_id)


async def test_a_bug_of_a_runtime_is_tried_again_like_a_failure(theory: Embedded) -> None:
    await theory.publish(policy("again@1", retry={"max_attempts": 2, "backoff_ms": [0], "on": ["failed"]}))
    theory.runtime.scripts["step"] = [Act(raises=ValueError("a bug")), Act()]
    ran = await theory.run_plan(plan(step(), policy="again@1"))
    assert (ran.states, ran["step"].attempt_idx) == ({"step": "succeeded"}, 1)


async def test_an_attempt_that_its_runtime_gives_up_is_lost(theory: Embedded) -> None:
    theory.runtime.scripts["a"] = Act(hold=asyncio.Event())
    submitted = await theory.submit(plan(step("a"), step("b")))
    await theory.runtime.until_running(1)
    await theory.until(submitted.plan_id, "b", "succeeded")
    await theory.runtime.end()
    async with asyncio.timeout(5):
        ran = await theory.ended(submitted.plan_id)
    assert ran.states == {"a": "failed", "b": "succeeded"}
    assert _why(ran["a"]) == ("lost", "ATTEMPT_LOST")


async def test_a_runtime_that_cannot_says_why(theory: Embedded) -> None:
    theory.runtime.scripts["step"] = Act(raises=NotReady("ENGINE_DOWN", "no engine answers"))
    ran = await theory.run_plan(plan(step()))
    assert _why(ran["step"]) == ("failed", "ENGINE_DOWN")


async def test_a_success_predicate_that_says_no_leaves_nothing_behind(theory: Embedded) -> None:
    await theory.publish(
        tool("test/judged@1", admission=[asks(10)], success=[predicate("artifact.exists@1", path="${outputs.page}")])
    )
    missing = "/artifacts/outputs/step/page"
    theory.runtime.scripts["step"] = Act(files={"/artifacts/outputs/step/a": b"a"}, outputs={"page": missing})
    ran = await theory.run_plan(plan(step(processor="test/judged@1")))
    assert _why(ran["step"]) == ("predicate_refused", "PREDICATE_REFUSED")
    assert ran["step"].failure is not None
    assert ran["step"].failure.metadata == {"predicate": "artifact.exists@1", "path": missing}
    assert ran["step"].outputs == ()
    assert "world.abort" in theory.faults.calls
    assert "prepared" in theory.reached
    assert "committed" not in theory.reached
    assert [each async for each in theory.theory.artifacts.list(ran.plan.world)] == []
    # The path is free again: the reservation was dropped.
    await theory.theory.artifacts.put_bytes(ran.plan.world, WorldPath.parse("/artifacts/outputs/step/a"), b"other")
    await theory.check(ran.plan.plan_id)


async def test_success_predicates_see_what_the_attempt_wrote(theory: Embedded) -> None:
    await theory.publish(
        schema("test.meta@1", {"type": "object", "required": ["width"]}),
        tool(
            "test/meta@1",
            success=[
                predicate("json.schema_ok@1", path="${outputs.meta}", schema="test.meta@1"),
                predicate(
                    "artifact.jmespath_ok@1", path="${outputs.meta}", expression="width", equals="${inputs.width}"
                ),
            ],
        ),
    )

    def write(context: ExpandedContext) -> Act:
        path = f"{context.write_prefix}meta.json"
        return Act(files={path: jcs.canonical({"width": 4})}, outputs={"meta": path})

    theory.runtime.scripts = {"right": write, "wrong": write}
    right, wrong = (
        step(name, processor="test/meta@1", inputs={"width": width}) for name, width in (("right", 4), ("wrong", 5))
    )
    ran = await theory.run_plan(plan(right, wrong))
    assert ran.states == {"right": "succeeded", "wrong": "failed"}


async def test_an_output_outside_the_write_set_fails_the_attempt(theory: Embedded) -> None:
    theory.runtime.scripts["step"] = Act(files={"/artifacts/outputs/other/a": b"a"})
    ran = await theory.run_plan(plan(step()))
    assert _why(ran["step"]) == ("invalid_output", "OUTPUT_REFUSED")
    assert ran["step"].failure is not None
    expected = {"path": "artifacts/outputs/other/a", "rule": "outside_write_set"}
    assert ran["step"].failure.metadata == expected


async def test_a_path_that_is_bound_to_other_bytes_fails_the_attempt(theory: Embedded) -> None:
    theory.runtime.scripts = {
        "a": Act(files={"/artifacts/outputs/f": b"a"}),
        "b": Act(files={"/artifacts/outputs/f": b"b"}),
    }
    a, b = _one_folder()
    ran = await theory.run_plan(plan(a, b))
    assert ran.states == {"a": "succeeded", "b": "failed"}
    assert _why(ran["b"]) == ("invalid_output", "PATH_BOUND")


async def test_the_same_bytes_at_a_bound_path_are_fine(theory: Embedded) -> None:
    theory.runtime.scripts = dict.fromkeys(("a", "b"), Act(files={"/artifacts/outputs/f": b"same"}))
    a, b = _one_folder()
    assert (await theory.run_plan(plan(a, b))).states == {"a": "succeeded", "b": "succeeded"}


async def test_a_file_where_a_folder_is_fails_the_attempt(theory: Embedded) -> None:
    theory.runtime.scripts = {
        "a": Act(files={"/artifacts/outputs/f/x": b"a"}),
        "b": Act(files={"/artifacts/outputs/f": b"b"}),
    }
    a, b = _one_folder()
    assert _why((await theory.run_plan(plan(a, b)))["b"]) == ("invalid_output", "PATH_SHADOWED")


@pytest.mark.slow
@pytest.mark.parametrize(("refusals", "state"), [(3, "succeeded"), (51, "failed")])
async def test_a_path_that_another_has_reserved_is_waited_for_a_while(
    tmp_path: Path, refusals: int, state: str
) -> None:
    clock = AskedClock()
    reserved = Conflict("PATH_RESERVED", "another has it", path="/artifacts/outputs/step/out.json", execution_id="p.x")
    async with embedded(tmp_path, clock=clock) as theory:
        theory.faults.refuse("world.prepare", *[reserved] * refusals)
        submitted = await theory.submit(plan(step()))
        for pauses in range(1, min(refusals, 50) + 1):
            await clock.until_asked(0.2, pauses)
            clock.advance(0.2)
        assert (await theory.ended(submitted.plan_id)).states == {"step": state}


async def test_a_fence_at_the_reservation_leads_to_a_new_claim(theory: Embedded) -> None:
    hold = asyncio.Event()
    theory.runtime.scripts["step"] = [Act(hold=hold, files={"/artifacts/outputs/step/a": b"a"}), Act()]
    submitted = await theory.submit(plan(step()))
    await theory.runtime.until_running(1)
    await LedgerClient(theory.channel(Role.EXECUTOR)).resolve(ExecutionId.parse(f"{submitted.plan_id}.step"), 1)
    theory.faults.refuse("world.prepare", Conflict("EPOCH_FENCED", "too late", epoch="1", current_epoch="2"))
    hold.set()
    ran = await theory.ended(submitted.plan_id)
    assert (ran.states, ran["step"].epoch) == ({"step": "succeeded"}, 2)


@pytest.mark.slow
async def test_a_place_that_is_gone_is_a_lost_attempt(tmp_path: Path) -> None:
    runtime, hold = ScriptedRuntime(), asyncio.Event()
    runtime.scripts["step"] = Act(hold=hold)
    async with embedded(tmp_path, runtime=runtime) as installation:
        submitted = await installation.submit(plan(step()))
        await runtime.until_running(1)
        await runtime._memory.sweep(frozenset())
        hold.set()
        async with asyncio.timeout(5):
            ran = await installation.ended(submitted.plan_id)
        assert _why(ran["step"]) == ("lost", "ATTEMPT_LOST")


async def test_what_an_attempt_left_is_removed(theory: Embedded) -> None:
    ran = await theory.run_plan(plan(step()))
    assert theory.runtime.released == [f"{ran['step'].execution_id}-a0"]
    assert theory.runtime._memory._held == {}


async def test_what_cannot_be_removed_does_not_undo_the_end(theory: Embedded) -> None:
    theory.runtime.release_fault = OSError("no such device")
    assert (await theory.run_plan(plan(step()))).states == {"step": "succeeded"}


@pytest.mark.slow
async def test_a_processor_finds_its_world_its_context_and_its_secrets(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets.env"
    secrets.touch(mode=0o600)
    secrets.write_text("TOKEN=s3cret-value\n")
    runtime = ScriptedRuntime(needs_directory=True)
    seen: dict[str, bytes] = {}

    def look(context: ExpandedContext) -> Act:
        place = Path(context.scratch_dir).parent
        for name in ("context.json", "world/artifacts/inputs/a", "run/secrets/TOKEN"):
            seen[name] = (place / name).read_bytes()
        seen["world"] = b" ".join(sorted(os.fsencode(each.name) for each in (place / "world").rglob("*")))
        path = f"{context.write_prefix}out"
        return Act(files={path: b"written"}, outputs={"path": path})

    runtime.scripts["step"] = look
    (tmp_path / "home").mkdir()
    async with embedded(
        tmp_path / "home", runtime=runtime, publish=[tool(required=["TOKEN"])], secrets_url=f"dotenv:{secrets}"
    ) as theory:
        files = await theory.upload(a=b"bytes of a", b=b"not read")
        ran = await theory.run_plan(plan(step(reads=["/artifacts/inputs/a"]), files=files))
        assert ran.states == {"step": "succeeded"}, ran["step"].failure
        assert seen["world/artifacts/inputs/a"] == b"bytes of a"
        assert seen["world"] == b"a artifacts inputs"
        assert seen["run/secrets/TOKEN"] == b"s3cret-value"
        document = jcs.parse_object(seen["context.json"])
        assert (document["world_mount"], document["scratch_dir"]) == (WORLD_MOUNT, SCRATCH_DIR)
        assert ExpandedContext.from_document(document).execution_id == f"{ran.plan.plan_id}.step"
        assert await theory.theory.artifacts.get_bytes(ran.plan.world, ran["step"].outputs[0].path) == b"written"
        [receipt] = await theory.receipts(ran.plan.plan_id)
        assert receipt.document["secret_names"] == ["TOKEN"]
        told = [
            receipt.preimage,
            seen["context.json"],
            *(each.preimage for each in await theory.events(ran.plan.plan_id)),
        ]
        assert not any(b"s3cret" in each for each in told)
        places = tmp_path / "home" / "executor" / "attempts"
        assert list(places.iterdir()) == []


@pytest.mark.slow
async def test_executions_of_a_plan_share_the_volumes_that_they_name(tmp_path: Path) -> None:
    """I-108: a volume is shared by who names it, and is no part of the result."""
    runtime = ScriptedRuntime(needs_directory=True)

    def volumes_of(context: ExpandedContext) -> Path:
        return Path(context.scratch_dir).parent / "volumes"

    def leave(context: ExpandedContext) -> Act:
        (volumes_of(context) / "shared" / "note").write_bytes(b"for b")
        return Act(files={f"{context.write_prefix}out": b""}, outputs={})

    def take(context: ExpandedContext) -> Act:
        assert {each.name for each in volumes_of(context).iterdir()} == {"shared", "own"}
        found = (volumes_of(context) / "shared" / "note").read_bytes()
        return Act(files={f"{context.write_prefix}out": found}, outputs={})

    def look(context: ExpandedContext) -> Act:
        assert not volumes_of(context).exists()
        return Act(outputs={})

    runtime.scripts |= {"a": leave, "b": take, "c": look}
    async with embedded(tmp_path, runtime=runtime) as theory:
        document = plan(step("a", volumes=["shared"]), step("b", "a", volumes=["shared", "own"]), step("c", "b"))
        ran = await theory.run_plan(document)
        assert ran.states == {"a": "succeeded", "b": "succeeded", "c": "succeeded"}
        assert await theory.theory.artifacts.get_bytes(ran.plan.world, ran["b"].outputs[0].path) == b"for b"
        assert runtime.contexts["b-a0"].to_document().keys() == runtime.contexts["c-a0"].to_document().keys()
        receipts = str([each.document for each in await theory.receipts(ran.plan.plan_id)])
        assert "shared" not in receipts
        await theory.check(ran.plan.plan_id)


@pytest.mark.slow
async def test_a_volume_that_cannot_be_had_fails_the_execution(tmp_path: Path) -> None:
    runtime = ScriptedRuntime(needs_directory=True)
    async with embedded(tmp_path, runtime=runtime) as theory:
        full = Exhausted("QUOTA_EXCEEDED", "too many", quota="volumes", limit="32")
        theory.faults.refuse("scratch.volume", Unavailable("SERVICE_UNREACHABLE", "away"), full)
        ran = await theory.run_plan(plan(step(volumes=["shared"])))
        assert _why(ran["step"]) == ("failed", "QUOTA_EXCEEDED")
        assert runtime.invoked == []
