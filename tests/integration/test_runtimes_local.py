"""The local runtime on a real engine: results, deadlines, adoption, isolation, images."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.resources.volumes.adapters import directory
from tests import backends
from tests.integration.workbench import (
    MIB,
    PLAIN,
    PLAN,
    Workbench,
    base_image_missing,
    docker,
    forget_images,
    scripted,
    until,
    words,
)
from tests.surroundings import opening
from tests.unit.services.executor.adapters.runtimes.attempts import processor
from theory.core.errors import NotReady, Unsupported
from theory.core.receipt import AttemptOutcome

pytestmark = pytest.mark.docker

NAME = f"{PLAN}.step-a0"
CONTAINER = f"theory-{NAME}"
IGNORES_TERM = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
CANARY = "sk-canary-48151623"


@pytest.fixture(scope="module", autouse=True)
def images() -> Iterator[None]:
    yield
    forget_images()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Workbench]:
    backends.require("docker", base_image_missing())
    opened = await Workbench("local", tmp_path / "home", tmp_path / "contexts").open()
    opened.context_folder(PLAIN)
    yield opened
    await opened.clean()
    assert docker("ps", "--all", "--quiet", "--filter", f"name={CONTAINER}").stdout == ""


def _runs() -> bool:
    return docker("inspect", "--format", "{{.State.Status}}", CONTAINER, check=False).stdout.strip() == "running"


def _inspected() -> str:
    return docker("inspect", CONTAINER).stdout


async def test_a_processor_that_succeeds(bench: Workbench) -> None:
    place = await bench.place(inputs={"/artifacts/in/a.txt": b"hello"})
    script = "mkdir -p out/artifacts/outputs/step; tr a-z A-Z < world/artifacts/in/a.txt > out/artifacts/outputs/step/b"
    result = await bench.invoke(scripted(f"{script}; echo done"), place)
    assert (result.outcome, result.exit_code, result.message) == (AttemptOutcome.SUCCEEDED, 0, "")
    assert result.logs_tail == "done\n"
    assert result.started_at is not None
    assert result.finished_at is not None
    assert result.started_at <= result.finished_at
    assert await bench.written(place) == {"artifacts/outputs/step/b": b"HELLO"}


async def test_two_containers_at_once_share_a_volume(bench: Workbench, tmp_path: Path) -> None:
    """I-108: each sees what the other writes while both run, and nothing of it is output."""
    store = await directory.open(f"file://{tmp_path}/volumes", opening())
    for plan_id in (PLAN, "plan-2"):
        await store.create(plan_id=plan_id, name="shared")
    located = await store.locate(plan_id=PLAN, name="shared")
    script = """
    mine=$(cat world/artifacts/in/me); cd volumes; ls; echo "$mine" > "shared/$mine"
    while [ "$(ls shared | wc -l)" -lt 2 ]; do sleep 0.05; done; cat shared/*; touch no 2> /dev/null || echo closed
    """
    places = [
        await bench.place(f"step.{name}-a0", volumes={"shared": located}, inputs={"/artifacts/in/me": name.encode()})
        for name in ("0", "1")
    ]
    results = await asyncio.gather(*(bench.invoke(scripted(script, timeout_s=30), place) for place in places))
    assert [each.logs_tail for each in results] == ["shared\n0\n1\nclosed\n"] * 2
    assert [each.outcome for each in results] == [AttemptOutcome.SUCCEEDED] * 2
    assert [await bench.written(place) for place in places] == [{}, {}]
    assert sorted(each.name for each in Path(located).iterdir()) == ["0", "1"]


async def test_a_processor_that_fails(bench: Workbench) -> None:
    result = await bench.invoke(scripted("echo out; echo why >&2; exit 3"))
    assert (result.outcome, result.exit_code) == (AttemptOutcome.FAILED, 3)
    assert result.message == "the processor ended with exit code 3"
    assert sorted(words(result.logs_tail)) == ["out", "why"]


async def test_a_command_that_is_not_in_the_image(bench: Workbench) -> None:
    spec = processor(command=["/no/such/program"])
    for _ in range(2):
        result = await bench.invoke(spec)
        assert (result.outcome, result.exit_code) == (AttemptOutcome.FAILED, 127)
        assert "/no/such/program" in result.logs_tail


async def test_a_processor_past_its_deadline_is_killed_though_it_ignores_the_request(bench: Workbench) -> None:
    """I-75: the executor owns the deadline."""
    result = await bench.invoke(scripted(IGNORES_TERM, timeout_s=1))
    assert (result.outcome, result.exit_code, result.deadline_exceeded) == (AttemptOutcome.TIMED_OUT, 137, True)
    assert json.loads(_inspected())[0]["State"]["Running"] is False
    assert (await bench.invoke(scripted(IGNORES_TERM, timeout_s=1))).outcome is AttemptOutcome.TIMED_OUT


async def test_a_processor_past_its_deadline_may_end_by_itself(bench: Workbench) -> None:
    script = "trap 'echo bye; exit 5' TERM; while :; do sleep 0.05; done"
    result = await bench.invoke(scripted(script, timeout_s=1))
    assert (result.outcome, result.exit_code, result.logs_tail) == (AttemptOutcome.TIMED_OUT, 5, "bye\n")


async def test_memory_beyond_the_spec_ends_as_oom(bench: Workbench) -> None:
    spec = processor(
        command=["python3", "-c", "x = bytearray(400 * 2**20)"],
        runtime={"cpu": 1, "memory_gb": "0.064", "timeout_s": 60},
    )
    result = await bench.invoke(spec)
    assert (result.outcome, result.exit_code, result.oom) == (AttemptOutcome.OOM, 137, True)


async def test_an_exit_code_of_137_alone_is_no_oom(bench: Workbench) -> None:
    result = await bench.invoke(scripted("exit 137"))
    assert (result.outcome, result.exit_code, result.oom) == (AttemptOutcome.FAILED, 137, False)


async def test_an_attempt_under_way_is_adopted_by_another_executor(bench: Workbench) -> None:
    """I-76: nothing is started twice."""
    spec = scripted("echo start >> out/starts; while [ ! -e out/go ]; do sleep 0.05; done; exit 4")
    place = await bench.place()
    first = asyncio.create_task(bench.invoke(spec, place))
    await until(_runs)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    second = await bench.reopened()
    adopted = asyncio.create_task(second.invoke(spec, await second.place()))
    await asyncio.sleep(0.2)
    (place.out / "go").touch()
    result = await adopted
    assert (result.outcome, result.exit_code) == (AttemptOutcome.FAILED, 4)
    assert (place.out / "starts").read_text() == "start\n"
    await second.close()


async def test_an_adopted_attempt_keeps_its_first_deadline(bench: Workbench) -> None:
    spec = scripted(IGNORES_TERM, timeout_s=2)
    first = asyncio.create_task(bench.invoke(spec))
    await until(_runs)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await asyncio.sleep(2)
    second = await bench.reopened()
    async with asyncio.timeout(2):
        result = await second.invoke(spec)
    assert result.outcome is AttemptOutcome.TIMED_OUT
    await second.close()


async def test_an_attempt_that_ended_meanwhile_has_the_same_result(bench: Workbench) -> None:
    spec = scripted("echo said; exit 6")
    first = await bench.invoke(spec)
    second = await bench.reopened()
    assert await second.invoke(spec) == first
    await second.close()


async def test_a_container_that_was_made_and_never_started_is_started(bench: Workbench) -> None:
    spec = scripted("exit 0")
    await bench.invoke(spec)
    image = json.loads(_inspected())[0]["Image"]
    home = json.loads(_inspected())[0]["Config"]["Labels"]["theory.home"]
    await bench.runtime.release(NAME)
    await bench.places.remove(NAME)
    docker(
        "create",
        "--name",
        CONTAINER,
        "--label",
        f"theory.home={home}",
        "--network",
        "none",
        image,
        "sh",
        "-c",
        "sleep 60",
    )
    # Ours by name, label and image: it is taken as it is.
    running = asyncio.create_task(bench.invoke(scripted("exit 0", timeout_s=1)))
    await until(_runs)
    assert (await running).outcome is AttemptOutcome.TIMED_OUT


async def test_a_container_that_somebody_removed_is_lost(bench: Workbench) -> None:
    spec = scripted(IGNORES_TERM)
    running = asyncio.create_task(bench.invoke(spec))
    await until(_runs)
    docker("rm", "--force", CONTAINER)
    assert (await running).outcome is AttemptOutcome.LOST
    assert (await bench.invoke(spec)).outcome is AttemptOutcome.LOST


async def test_a_container_whose_place_was_lost_is_lost_and_removed(bench: Workbench) -> None:
    spec = scripted("echo result > out/result.json")
    await bench.invoke(spec)
    await bench.places.remove(NAME)
    result = await bench.invoke(spec)
    assert result.outcome is AttemptOutcome.LOST
    assert docker("inspect", CONTAINER, check=False).returncode != 0


async def test_cancelling_ends_an_attempt(bench: Workbench) -> None:
    """I-80: cancelling is idempotent, and the processor is gone."""
    spec, place = scripted(IGNORES_TERM), await bench.place()
    running = asyncio.create_task(bench.invoke(spec, place))
    await until(_runs)
    await bench.runtime.cancel(bench.context(spec, place))
    assert (await running).outcome is AttemptOutcome.CANCELLED
    await bench.runtime.cancel(bench.context(spec, place))
    assert json.loads(_inspected())[0]["State"]["Running"] is False


async def test_an_attempt_that_was_cancelled_before_it_started_never_starts(bench: Workbench) -> None:
    spec, place = scripted("echo ran"), await bench.place()
    await bench.runtime.cancel(bench.context(spec, place))
    result = await bench.invoke(spec, place)
    assert (result.outcome, result.exit_code) == (AttemptOutcome.CANCELLED, None)
    assert docker("inspect", CONTAINER, check=False).returncode != 0


async def test_cancelling_what_was_never_prepared_is_fine(bench: Workbench) -> None:
    place = await bench.place()
    await bench.places.remove(place.name)
    await bench.runtime.cancel(bench.context(scripted("true"), place))


async def test_reaping_removes_every_container_but_those_named(bench: Workbench) -> None:
    for name in ("step-a0", "step-a1", "other-a0"):
        await bench.invoke(scripted("true"), await bench.place(name))
    names = {f"{PLAN}.{each}" for each in ("step-a0", "other-a0")}
    assert set(await bench.runtime.reap(frozenset({f"{PLAN}.step-a1"}))) == names
    await bench.runtime.release(f"{PLAN}.step-a1")
    await bench.runtime.release(f"{PLAN}.step-a1")
    assert await bench.runtime.reap(frozenset()) == ()


async def test_containers_of_another_installation_are_left_alone(bench: Workbench, tmp_path: Path) -> None:
    await bench.invoke(scripted("true"))
    stranger = await Workbench("local", tmp_path / "elsewhere", bench.contexts).open()
    assert await stranger.runtime.reap(frozenset()) == ()
    await stranger.clean()
    assert docker("inspect", CONTAINER).returncode == 0


async def test_a_processor_sees_its_enclosure(bench: Workbench) -> None:
    """I-68: it sees its inputs, read-only, and nothing else."""
    script = """
      id -u; ls /sys/class/net; pwd; echo $THEORY_WORK_DIR
      touch /x world/x run/x context.json 2>&1 | grep -c Read-only
      grep -E 'NoNewPrivs|Seccomp:|CapEff|CapBnd' /proc/self/status | tr -d '\\t'
      ls -A; cat /proc/self/oom_score_adj; ulimit -c
    """
    result = await bench.invoke(scripted(script))
    assert words(result.logs_tail) == [
        *("65532", "lo", "/work", "/work", "4"),
        *("CapEff:0000000000000000", "CapBnd:0000000000000000", "NoNewPrivs:1", "Seccomp:2"),
        *("context.json", "entrypoint.sh", "out", "run", "world", "500", "0"),
    ]


async def test_the_settings_of_a_container_are_those_of_the_profile(bench: Workbench) -> None:
    await bench.invoke(scripted("true"))
    host = json.loads(_inspected())[0]["HostConfig"]
    kept = {
        "AutoRemove": False,
        "CapDrop": ["ALL"],
        "Init": True,
        "IpcMode": "private",
        "Memory": 128 * MIB,
        "MemorySwap": 128 * MIB,
        "NanoCpus": 1_000_000_000,
        "NetworkMode": "none",
        "PidsLimit": 256,
        "Privileged": False,
        "ReadonlyRootfs": True,
    }
    assert {name: host[name] for name in kept} == kept
    assert host["Binds"] is None
    assert host["LogConfig"]["Type"] == "local"
    assert {each["Target"]: each.get("ReadOnly", False) for each in host["Mounts"]} == {
        "/work/context.json": True,
        "/work/entrypoint.sh": True,
        "/work/world": True,
        "/work/out": False,
        "/work/run": True,
    }


async def test_an_output_beyond_its_limit_does_not_fit(bench: Workbench) -> None:
    place = await bench.place(max_bytes=MIB)
    if "output_quota" not in bench.places.capabilities:
        pytest.skip("this user may not mount")
    script = "for name in a b c d e; do dd if=/dev/zero of=out/$name bs=64k count=16 2>&1; done"
    result = await bench.invoke(scripted(script), place)
    assert "No space left on device" in result.logs_tail
    assert sum(each.stat().st_size for each in place.out.iterdir()) < 4 * MIB


async def test_a_single_file_cannot_grow_beyond_what_may_be_left(bench: Workbench) -> None:
    place = await bench.place(max_bytes=MIB)
    result = await bench.invoke(scripted("dd if=/dev/zero of=/tmp/large bs=64k count=200"), place)
    assert result.outcome is AttemptOutcome.FAILED
    assert result.exit_code == 128 + signal.SIGXFSZ


async def test_a_secret_reaches_the_processor_and_nothing_else(bench: Workbench) -> None:
    """I-44: not the engine's description of the container, not the log."""
    place = await bench.place(secrets={"API_KEY": CANARY, "OTHER": "two words\n"})
    script = (
        'echo "$API_KEY" | base64; echo "key=$API_KEY"; [ "$OTHER" = "two words\n" ] && echo same; echo ${#API_KEY}'
    )
    result = await bench.invoke(scripted(script, secrets={"required": ["API_KEY", "OTHER"]}), place)
    assert result.exit_code == 0
    assert words(result.logs_tail)[1:] == ["key=***", "same", str(len(CANARY))]
    for told in (result.logs_tail, result.message, _inspected()):
        assert CANARY not in told
    assert CANARY.encode() not in b"".join(
        each.read_bytes()
        for each in place.directory.parents[1].rglob("*")
        if each.is_file() and "run" not in each.parts
    )


async def test_only_the_end_of_a_long_log_is_kept(bench: Workbench) -> None:
    script = "i=0; while [ $i -lt 20000 ]; do echo line-$i-xxxxxxxxxxxxxxxxxxxxxxxxx; i=$((i+1)); done"
    result = await bench.invoke(scripted(script))
    assert result.logs_tail.splitlines()[-1].startswith("line-19999")
    assert len(result.logs_tail) <= 16 * 1024


async def test_an_image_is_named_by_its_sources_and_its_base(bench: Workbench) -> None:
    spec = processor(command=["true"])
    first = await bench.runtime.resolve_image(spec)
    assert first.kind == "build"
    assert first.digest.startswith("b3:")
    assert await bench.runtime.resolve_image(spec) == first
    bench.context_folder({"processor.py": "print('new')\n"})
    assert (await bench.runtime.resolve_image(spec)).digest != first.digest


async def test_an_attempt_runs_the_image_that_was_resolved_for_it(bench: Workbench) -> None:
    """I-79: the image digest of a receipt is that of the code which ran."""
    dockerfile = PLAIN["Dockerfile"] + "COPY said /said\nCMD cat /said\n"
    bench.context_folder({"Dockerfile": dockerfile, "said": "old"})
    old = await bench.runtime.resolve_image(processor())
    bench.context_folder({"said": "new"})
    new = await bench.runtime.resolve_image(processor())
    results = [
        await bench.invoke(processor(), await bench.place(f"step-a{at}"), image_digest=each.digest)
        for at, each in enumerate((old, new))
    ]
    assert [each.logs_tail for each in results] == ["old", "new"]


async def test_an_image_that_is_gone_and_cannot_be_made_again_is_not_replaced(bench: Workbench) -> None:
    bench.context_folder({"said": "old"})
    old = await bench.runtime.resolve_image(processor(command=["true"]))
    docker("rmi", f"theory/test-step:{old.digest[3:35]}")
    bench.context_folder({"said": "new"})
    with pytest.raises(NotReady) as caught:
        await bench.invoke(processor(command=["true"]), image_digest=old.digest)
    assert caught.value.reason == "IMAGE_UNAVAILABLE"


async def test_many_who_want_an_image_share_one_build(bench: Workbench) -> None:
    bench.context_folder({"marker": str(bench.contexts)})
    found = await asyncio.gather(*(bench.runtime.resolve_image(processor(command=["true"])) for _ in range(4)))
    assert len(set(found)) == 1


async def test_a_build_that_fails_says_its_last_words(bench: Workbench) -> None:
    bench.context_folder({"Dockerfile": PLAIN["Dockerfile"] + 'RUN echo "what went wrong"; exit 9\n'})
    with pytest.raises(NotReady) as caught:
        await bench.runtime.resolve_image(processor())
    assert caught.value.reason == "IMAGE_UNAVAILABLE"
    assert "what went wrong" in caught.value.message


async def test_a_build_has_no_network(bench: Workbench) -> None:
    bench.context_folder({"Dockerfile": PLAIN["Dockerfile"] + "RUN [ $(ls /sys/class/net) = lo ]\n"})
    await bench.runtime.resolve_image(processor(command=["true"]))


async def test_an_image_that_no_registry_has(bench: Workbench) -> None:
    spec = processor(image={"oci": "127.0.0.1:9/nobody/nothing:v1@sha256:" + "a" * 64})
    with pytest.raises(NotReady) as caught:
        await bench.runtime.resolve_image(spec)
    assert caught.value.reason == "IMAGE_UNAVAILABLE"


async def test_graphics_processors_are_not_promised(bench: Workbench) -> None:
    runtime = {"cpu": 1, "memory_gb": 1, "timeout_s": 1, "gpu": {"model": "x", "count": 1, "mem_gb": 1}}
    with pytest.raises(Unsupported):
        await bench.runtime.resolve_image(processor(runtime=runtime))


async def test_the_engine_is_described(bench: Workbench) -> None:
    told = await bench.runtime.probe()
    assert told["runtime"] == "local"
    assert told["engine"]


async def test_an_engine_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    bench = await Workbench("local", tmp_path / "home", tmp_path).open(engine_url=f"unix://{tmp_path}/none.sock")
    bench.context_folder(PLAIN)
    place = await bench.place()
    for ask in (
        bench.runtime.probe(),
        bench.runtime.resolve_image(processor()),
        bench.runtime.invoke("test/step@1", bench.context(processor(), place)),
        bench.runtime.reap(frozenset()),
    ):
        with pytest.raises(NotReady) as caught:
            await ask
        assert caught.value.reason == "ENGINE_DOWN"
        assert "start Docker" in caught.value.message
    await bench.places.sweep(frozenset())
    await bench.close()


async def test_a_container_of_an_executor_that_is_gone_ends_when_its_time_is_up(bench: Workbench) -> None:
    """I-178: it heeds no signal, and nobody follows it."""
    spec = scripted("trap '' TERM; while :; do sleep 1; done", timeout_s=2)
    place = await bench.place()
    running = asyncio.create_task(bench.invoke(spec, place))
    await until(_runs)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await bench.runtime.close()
    await until(lambda: not _runs())
    other = await bench.reopened()
    try:
        result = await other.invoke(spec, place)
        assert (result.outcome, result.deadline_exceeded) == (AttemptOutcome.TIMED_OUT, True)
    finally:
        await other.clean()
        await bench.open()
