"""What leaves a store on this machine: garbage, damage, worlds, and whoever reads or puts meanwhile."""

import asyncio
from pathlib import Path

import pytest

from services.artifacts.adapters.blobs.directory import QUARANTINE
from tests.documents import plan, step
from tests.embedded import embedded
from tests.integration.leaving import A, W, collect_garbage, read_what_goes, served
from tests.scripted import Act, ScriptedRuntime
from theory.core.errors import NotFound

pytestmark = pytest.mark.slow


@pytest.fixture(params=["memory", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory:" if request.param == "memory" else (tmp_path / "blobs").as_uri()


async def test_garbage_goes_and_what_is_bound_stays(url: str, tmp_path: Path) -> None:
    await collect_garbage(url, tmp_path)


async def test_who_reads_a_blob_that_goes_gets_its_bytes_or_is_told(url: str, tmp_path: Path) -> None:
    await read_what_goes(url, tmp_path)


async def test_damage_on_the_disk_is_found_put_aside_and_healed(tmp_path: Path) -> None:
    async with served(tmp_path, (tmp_path / "blobs").as_uri()) as store:
        cid = (await store.client.put_bytes(W, A, b"as it was written")).cid
        sound = await store.client.put_blob(b"sound")
        stored = tmp_path / "blobs" / cid.hex[:2] / cid.hex[2:]
        stored.chmod(0o600)
        stored.write_bytes(b"as it was damaged")
        found = await store.retention.scrub()
        assert (found.count, [each.cid for each in found.damaged]) == (2, [cid])
        assert (tmp_path / "blobs" / QUARANTINE / cid.hex).read_bytes() == b"as it was damaged"
        with pytest.raises(NotFound) as told:
            await store.client.get_bytes(W, A)
        assert told.value.reason == "BLOB_UNKNOWN"
        assert await store.client.find_missing([cid, sound]) == [cid]
        assert await store.client.put_blob(b"as it was written") == cid
        assert await store.client.get_bytes(W, A) == b"as it was written"
        assert (await store.retention.scrub()).damaged == ()


async def test_a_world_stays_dropped_across_a_restart(tmp_path: Path) -> None:
    async with served(tmp_path, "memory:") as store:
        await store.client.put_bytes(W, A, b"one")
        await store.retention.drop_world(W)
    async with served(tmp_path, "memory:") as store:
        with pytest.raises(NotFound) as told:
            await store.client.put_bytes(W, A, b"two")
        assert told.value.reason == "WORLD_DROPPED"


async def test_a_plan_whose_world_is_dropped_meanwhile_fails_and_says_why(tmp_path: Path) -> None:
    hold = asyncio.Event()
    runtime = ScriptedRuntime()
    runtime.scripts["first"] = Act(files={"/artifacts/outputs/first/a": b"late"}, hold=hold)
    async with embedded(tmp_path / "h", runtime=runtime) as theory:
        submitted = await theory.submit(plan(step("first"), step("second", "first")))
        await theory.until(submitted.plan_id, "first", "running")
        await theory.theory.retention.drop_world(submitted.world)
        hold.set()
        ran = await theory.ended(submitted.plan_id)
        assert ran.states == {"first": "failed", "second": "skipped"}
        failure = ran["first"].failure
        assert failure is not None
        assert (failure.reason, failure.metadata["world"]) == ("WORLD_DROPPED", submitted.world.text)

        again = await theory.run_plan(plan(step("first"), world=submitted.world.text))
        assert again["first"].failure is not None
        assert again["first"].failure.reason == "WORLD_DROPPED"
