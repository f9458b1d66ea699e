"""The tests of services/executor/domain/resolve.py."""

import asyncio
from pathlib import Path

import pytest

from services.executor.domain import resolve
from services.executor.domain.resolve import secret_tags
from tests.documents import plan, step, tool
from tests.embedded import Embedded, embedded
from tests.peers import peers_of
from tests.scripted import Act, ScriptedRuntime
from theory.core.clock import SystemClock
from theory.core.errors import NotFound, NotReady
from theory.core.spec import ProcessorSpec

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_reads_become_a_fixed_list_of_paths_and_cids(theory: Embedded) -> None:
    files = await theory.upload(**{name: name.encode() for name in ("a", "b", "c")})
    reads = ["/artifacts/inputs/**", "/artifacts/inputs/b"]
    ran = await theory.run_plan(plan(step(reads=reads), files=files))
    [receipt] = await theory.receipts(ran.plan.plan_id)
    stated = [{"path": each["path"], "cid": each["cid"]} for each in files if isinstance(each, dict)]
    assert receipt.document["input_cids"] == stated


async def test_a_read_that_matches_nothing_is_named(theory: Embedded) -> None:
    ran = await theory.run_plan(plan(step(reads=["/artifacts/inputs/a", "/artifacts/nothing/**"]),
                                     files=await theory.upload(a=b"a")))  # fmt: skip
    assert ran["step"].failure is not None
    assert ran["step"].failure.metadata == {"selector": "/artifacts/nothing/**"}
    assert theory.runtime.invoked == []


async def test_an_image_is_resolved_once_for_a_plan_and_a_processor(theory: Embedded) -> None:
    await theory.publish(tool("test/other@1"))
    many = step("many", for_each=[{"n": n} for n in range(10)])
    await theory.run_plan(plan(many, step("other", processor="test/other@1")))
    assert theory.runtime.images_resolved == 2


async def test_an_image_that_cannot_be_had_is_tried_again_for_the_next(theory: Embedded) -> None:
    theory.runtime.image_fault = NotReady("IMAGE_UNAVAILABLE", "the build failed", ref="test/step@1")
    first = await theory.run_plan(plan(step()))
    assert first["step"].failure is not None
    assert first["step"].failure.reason == "IMAGE_UNAVAILABLE"
    theory.runtime.image_fault = None
    assert (await theory.run_plan(plan(step()))).states == {"step": "succeeded"}


async def test_more_files_than_a_receipt_can_name_are_refused(
    theory: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolve, "MAX_INPUT_LIST_BYTES", 500)
    files = await theory.upload(**dict.fromkeys(("a", "b", "c"), b"x"))
    ran = await theory.run_plan(plan(step(reads=["/artifacts/inputs/**"]), files=files))
    assert ran["step"].failure is not None
    assert (ran["step"].failure.reason, ran["step"].failure.metadata) == ("PLAN_INVALID", {"field": "reads"})


@pytest.mark.slow
async def test_a_runtime_that_is_served_no_more_fails_what_named_it(tmp_path: Path) -> None:
    runtime, hold = ScriptedRuntime(), asyncio.Event()
    runtime.scripts["a"] = Act(hold=hold)
    async with embedded(tmp_path, runtime=runtime, memory=False) as theory:
        submitted = await theory.submit(plan(step("a"), step("b", "a", runtime="mock")))
        await theory.until(submitted.plan_id, "a", "running")
        runtime.stays = True
    async with embedded(tmp_path, runtime=runtime, memory=False, runtimes="") as theory:
        hold.set()
        refused = (await theory.ended(submitted.plan_id))["b"]
        assert refused.failure is not None
        assert refused.failure.reason == "RUNTIME_UNKNOWN"
        assert refused.failure.metadata == {"runtime": "mock", "served": "process"}


@pytest.mark.slow
async def test_a_secret_that_changes_is_a_miss_and_its_name_is_told(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets.env"
    secrets.touch(mode=0o600)
    (tmp_path / "home").mkdir()

    async def run(value: str) -> tuple[bool, tuple[str, ...]]:
        secrets.write_text(f"TOKEN={value}\n")
        async with embedded(
            tmp_path / "home", memory=False, publish=[tool(required=["TOKEN"])], secrets_url=f"dotenv:{secrets}"
        ) as theory:
            memo = (await theory.run_plan(plan(step(), seed=5)))["step"].memo
            assert memo is not None
            return memo.hit, memo.differences

    assert await run("one") == (False, ())
    assert await run("one") == (True, ())
    assert await run("two") == (False, ("secrets:TOKEN",))


async def test_tags_are_those_of_required_secrets_and_of_optional_ones_that_exist(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets.env"
    secrets.touch(mode=0o600)
    secrets.write_text("A=1\nB=2\n")
    both = ProcessorSpec.parse(tool(required=["A"], optional=["B", "C"]).document)
    missing = ProcessorSpec.parse(tool(required=["X", "A"], optional=["Y"]).document)
    async with embedded(tmp_path, secrets_url=f"dotenv:{secrets}") as theory:
        peer = peers_of(theory).secrets
        tags = await secret_tags(SystemClock(), peer, [both])
        assert set(tags) == {"A", "B"}
        assert not any(tag in {"1", "2"} for tag in tags.values())
        with pytest.raises(NotFound) as caught:
            await secret_tags(SystemClock(), peer, [both, missing])
        assert caught.value.metadata == {"names": "X"}
        assert await secret_tags(SystemClock(), peer, []) == {}
