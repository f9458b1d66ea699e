"""The process runtime: real child processes, their deadlines, their descendants, their executor's death."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.executor.adapters.runtimes.process import processes
from services.executor.ports.place import AttemptPlace
from tests.integration.workbench import PLAN, ROOT, Workbench, until, words
from tests.unit.services.executor.adapters.runtimes.attempts import processor
from theory.core.errors import NotReady
from theory.core.receipt import AttemptOutcome
from theory.core.spec import ProcessorSpec

NAME = f"{PLAN}.step-a0"
CANARY = "sk-canary-48151623"
IGNORES_TERM = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open("out/running", "w").close()
while True:
    time.sleep(0.02)
"""
LEAVES_CHILDREN = """
import os, time
for daemon in (False, True):
    if os.fork() == 0:
        if daemon:
            os.setsid()
            if os.fork():
                os._exit(0)
        time.sleep(300)
        os._exit(0)
print("left two behind")
"""


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Workbench]:
    opened = await Workbench("process", tmp_path / "home", tmp_path / "contexts").open(engine_url="")
    yield opened
    attempts = opened.places.attempts
    await opened.clean()
    assert processes.living(attempts) == {}


def _spec(bench: Workbench, program: str, *, timeout_s: int = 60, memory_gb: str = "0.5") -> ProcessorSpec:
    bench.context_folder({"processor.py": program})
    return processor(runtime={"cpu": 1, "memory_gb": memory_gb, "timeout_s": timeout_s})


async def _running(place: AttemptPlace) -> None:
    await until((place.out / "running").exists)


async def test_a_processor_that_uses_the_sdk(bench: Workbench) -> None:
    program = """
from theory.sdk.processor import run

def main(context):
    text = context.read("/artifacts/in/a.txt").decode()
    return {"path": context.write("b.txt", text.upper().encode())}

run(main)
"""
    spec = _spec(bench, program)
    place = await bench.place(inputs={"/artifacts/in/a.txt": b"hello"})
    (place.directory / "context.json").chmod(0o600)
    (place.directory / "context.json").write_text(json.dumps(bench.context(spec, place).to_document()))
    result = await bench.invoke(spec, place)
    assert (result.outcome, result.exit_code, result.message) == (AttemptOutcome.SUCCEEDED, 0, "")
    assert result.started_at is not None
    assert result.finished_at is not None
    assert result.started_at <= result.finished_at
    assert result.cpu_s_milli > 0
    assert await bench.written(place) == {
        "artifacts/outputs/step/b.txt": b"HELLO",
        "result.json": b'{"outputs":{"path":"/artifacts/outputs/step/b.txt"}}',
    }


async def test_two_processors_at_once_share_a_volume(bench: Workbench, tmp_path: Path) -> None:
    """I-108: each sees what the other writes while both run, and nothing of it is output."""
    volume = tmp_path / "volume"
    volume.mkdir()
    program = """
import os, pathlib, time
shared = pathlib.Path(os.environ["THEORY_WORK_DIR"], "volumes", "shared")
mine = pathlib.Path.cwd().name
(shared / mine).write_text(mine)
while len(list(shared.iterdir())) < 2:
    time.sleep(0.02)
print(sorted(each.read_text() for each in shared.iterdir()))
"""
    spec = _spec(bench, program, timeout_s=20)
    places = [await bench.place(f"step.{n}-a0", volumes={"shared": str(volume)}) for n in range(2)]
    results = await asyncio.gather(*(bench.invoke(spec, place) for place in places))
    assert [each.outcome for each in results] == [AttemptOutcome.SUCCEEDED] * 2
    assert [each.logs_tail for each in results] == [f"['{PLAN}.step.0-a0', '{PLAN}.step.1-a0']\n"] * 2
    assert [await bench.written(place) for place in places] == [{}, {}]


async def test_a_processor_that_fails(bench: Workbench) -> None:
    result = await bench.invoke(_spec(bench, "import sys\nprint('out')\nsys.exit('why')\n"))
    assert (result.outcome, result.exit_code) == (AttemptOutcome.FAILED, 1)
    assert result.message == "the processor ended with exit code 1"
    assert sorted(words(result.logs_tail)) == ["out", "why"]


async def test_a_processor_that_a_signal_ends(bench: Workbench) -> None:
    result = await bench.invoke(_spec(bench, "import os\nos.kill(os.getpid(), 11)\n"))
    assert (result.outcome, result.exit_code) == (AttemptOutcome.FAILED, 128 + signal.SIGSEGV)


async def test_a_processor_past_its_deadline_is_killed_though_it_ignores_the_request(bench: Workbench) -> None:
    """I-75: the executor owns the deadline."""
    spec = _spec(bench, IGNORES_TERM, timeout_s=1)
    result = await bench.invoke(spec)
    assert (result.outcome, result.exit_code, result.deadline_exceeded) == (AttemptOutcome.TIMED_OUT, 137, True)
    assert await bench.invoke(spec) == result


async def test_a_processor_past_its_deadline_may_end_by_itself(bench: Workbench) -> None:
    program = "import signal, sys, time\nsignal.signal(15, lambda *_: sys.exit('bye'))\nwhile True: time.sleep(0.02)\n"
    result = await bench.invoke(_spec(bench, program, timeout_s=1))
    assert (result.outcome, result.exit_code, result.logs_tail) == (AttemptOutcome.TIMED_OUT, 1, "bye\n")


async def test_what_a_processor_leaves_behind_is_ended_with_it(bench: Workbench) -> None:
    result = await bench.invoke(_spec(bench, LEAVES_CHILDREN))
    assert (result.outcome, result.exit_code) == (AttemptOutcome.SUCCEEDED, 0)
    assert processes.living(bench.places.attempts) == {}


async def test_memory_and_file_size_have_limits(bench: Workbench) -> None:
    large = await bench.invoke(_spec(bench, "x = bytearray(2**30)\n", memory_gb="0.25"), await bench.place("step-a0"))
    assert "MemoryError" in large.logs_tail
    long = "f = open('tmp/x', 'wb')\nwhile True: f.write(bytes(2**20))\n"
    result = await bench.invoke(_spec(bench, long), await bench.place("step-a1", max_bytes=2**20))
    assert "File too large" in result.logs_tail


async def test_an_attempt_under_way_is_adopted_by_another_executor(bench: Workbench) -> None:
    """I-76: nothing is started twice."""
    program = """
import os, time
with open("out/starts", "a") as starts:
    starts.write("start\\n")
open("out/running", "w").close()
while not os.path.exists("out/go"):
    time.sleep(0.02)
raise SystemExit(4)
"""
    spec, place = _spec(bench, program), await bench.place()
    first = asyncio.create_task(bench.invoke(spec, place))
    await _running(place)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    second = await bench.reopened()
    adopted = asyncio.create_task(second.invoke(spec, await second.place()))
    (place.out / "go").touch()
    result = await adopted
    assert (result.outcome, result.exit_code) == (AttemptOutcome.FAILED, 4)
    assert (place.out / "starts").read_text() == "start\n"
    assert await bench.invoke(spec, place) == result
    await second.close()


EXECUTOR = """
import asyncio, sys
from pathlib import Path
from tests.integration import workbench
from tests.unit.services.executor.adapters.runtimes.attempts import processor

async def main(home, contexts, plan):
    workbench.PLAN = plan  # another process names its own
    bench = await workbench.Workbench("process", Path(home), Path(contexts)).open(engine_url="")
    spec = processor(runtime={"cpu": 1, "memory_gb": "0.5", "timeout_s": 60})
    await bench.invoke(spec, await bench.place(secrets={"API_KEY": "sk-canary"}))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.slow
async def test_an_attempt_survives_the_kill_of_its_executor(bench: Workbench, tmp_path: Path) -> None:
    """I-76: kill -9, then another executor."""
    program = """
import os, time
open("out/running", "w").close()
while not os.path.exists("out/go"):
    time.sleep(0.02)
print(os.environ["API_KEY"] == "sk-canary", os.environ["API_KEY"])
raise SystemExit(4)
"""
    spec = _spec(bench, program)
    command = [sys.executable, "-c", EXECUTOR, str(tmp_path / "home"), str(bench.contexts), PLAN]
    executor = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
    await until((bench.places.attempts / NAME / "out" / "running").exists)
    executor.kill()
    await executor.wait()
    place = await bench.place(secrets={"API_KEY": "sk-canary"})
    adopted = asyncio.create_task(bench.invoke(spec, place))
    (place.out / "go").touch()
    result = await adopted
    assert (result.outcome, result.exit_code, result.logs_tail) == (AttemptOutcome.FAILED, 4, "True ***\n")


async def test_an_adopted_attempt_keeps_its_first_deadline(bench: Workbench) -> None:
    spec, place = _spec(bench, IGNORES_TERM, timeout_s=2), await bench.place()
    first = asyncio.create_task(bench.invoke(spec, place))
    await _running(place)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await asyncio.sleep(2)
    second = await bench.reopened()
    async with asyncio.timeout(2):
        result = await second.invoke(spec, place)
    assert result.outcome is AttemptOutcome.TIMED_OUT
    await second.close()


async def test_an_attempt_whose_guardian_was_killed_is_lost_and_nobody_survives(bench: Workbench) -> None:
    spec, place = _spec(bench, IGNORES_TERM), await bench.place()
    running = asyncio.create_task(bench.invoke(spec, place))
    await _running(place)
    guardian = processes.guardian_of(place.directory)
    assert guardian is not None
    os.kill(guardian, signal.SIGKILL)
    assert (await running).outcome is AttemptOutcome.LOST
    assert processes.living(bench.places.attempts) == {}
    assert (await bench.invoke(spec, place)).outcome is AttemptOutcome.LOST


async def test_cancelling_ends_an_attempt(bench: Workbench) -> None:
    """I-80: cancelling is idempotent, and the processor is gone."""
    spec, place = _spec(bench, IGNORES_TERM), await bench.place()
    running = asyncio.create_task(bench.invoke(spec, place))
    await _running(place)
    await bench.runtime.cancel(bench.context(spec, place))
    assert (await running).outcome is AttemptOutcome.CANCELLED
    await bench.runtime.cancel(bench.context(spec, place))
    assert processes.living(bench.places.attempts) == {}


async def test_an_attempt_that_was_cancelled_before_it_started_never_starts(bench: Workbench) -> None:
    spec, place = _spec(bench, "print('ran')\n"), await bench.place()
    await bench.runtime.cancel(bench.context(spec, place))
    result = await bench.invoke(spec, place)
    assert (result.outcome, result.exit_code, result.logs_tail) == (AttemptOutcome.CANCELLED, None, "")


async def test_reaping_ends_every_attempt_but_those_named(bench: Workbench) -> None:
    spec = _spec(bench, IGNORES_TERM)
    places = [await bench.place(f"step-a{number}") for number in range(3)]
    running = [asyncio.create_task(bench.invoke(spec, place)) for place in places]
    for place in places:
        await _running(place)
    assert await bench.runtime.reap(frozenset({places[1].name})) == (places[0].name, places[2].name)
    assert list(processes.living(bench.places.attempts)) == [places[1].name]
    await bench.runtime.release(places[1].name)
    assert [each.outcome for each in await asyncio.gather(*running)] == [AttemptOutcome.LOST] * 3


async def test_a_processor_gets_little_of_the_environment(bench: Workbench) -> None:
    result = await bench.invoke(_spec(bench, "import os\nprint(*sorted(os.environ))\n"))
    assert words(result.logs_tail) == [
        *("HOME", "LANG", "PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONUTF8"),
        *("THEORY_URL", "THEORY_WORK_DIR", "TMPDIR"),
    ]


async def test_the_executors_own_packages_are_not_the_processors(bench: Workbench) -> None:
    result = await bench.invoke(_spec(bench, "import grpc\n"))
    assert "ModuleNotFoundError" in result.logs_tail


async def test_a_secret_is_in_the_environment_and_not_in_the_log(bench: Workbench) -> None:
    program = "import os\nprint('key=' + os.environ['API_KEY'], len(os.environ['API_KEY']))\n"
    result = await bench.invoke(_spec(bench, program), await bench.place(secrets={"API_KEY": CANARY}))
    assert result.logs_tail == f"key=*** {len(CANARY)}\n"


async def test_only_the_end_of_a_long_log_is_kept(bench: Workbench) -> None:
    result = await bench.invoke(_spec(bench, "for n in range(200_000): print('line', n)\n"))
    assert result.logs_tail.endswith("line 199999\n")
    assert len(result.logs_tail) <= 16 * 1024


async def test_an_attempt_runs_the_sources_that_were_resolved_for_it(bench: Workbench) -> None:
    """I-79: the image digest of a receipt is that of the code which ran."""
    spec = _spec(bench, "print('old')\n")
    old = await bench.runtime.resolve_image(spec)
    assert (old.kind, await bench.runtime.resolve_image(spec)) == ("process", old)
    bench.context_folder({"processor.py": "print('new')\n"})
    new = await bench.runtime.resolve_image(spec)
    results = [
        await bench.invoke(spec, await bench.place(f"step-a{at}"), image_digest=each.digest)
        for at, each in enumerate((old, new))
    ]
    assert [each.logs_tail for each in results] == ["old\n", "new\n"]


async def test_what_cannot_be_run_without_an_image_is_refused(bench: Workbench) -> None:
    bench.context_folder({"README.md": "nothing to run"})
    for spec, says in (
        (processor(), "no processor.py"),
        (processor(command=["/opt/run"]), "in its image only"),
        (processor(image={"oci": "r.example/a:v1@sha256:" + "a" * 64}), "no build context"),
    ):
        with pytest.raises(NotReady) as caught:
            await bench.runtime.resolve_image(spec)
        assert caught.value.reason == "IMAGE_UNAVAILABLE"
        assert says in caught.value.message


async def test_the_interpreter_is_described(bench: Workbench) -> None:
    assert (await bench.runtime.probe())["runtime"] == "process"
