"""Logs of real processes: read while they are written, from any position, without secrets, whatever their length."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.executor.adapters.runtimes.process import processes
from tests.integration.logs import flooded, read_on, text
from tests.integration.workbench import PLAN, Workbench
from tests.unit.services.executor.adapters.runtimes.attempts import processor
from theory.core.adapters import LogSource
from theory.core.errors import Invalid
from theory.core.receipt import AttemptOutcome
from theory.core.spec import ProcessorSpec

NAME = f"{PLAN}.step-a0"
CANARY = "sk-canary-48151623"
_MIB = 1024 * 1024


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Workbench]:
    opened = await Workbench("process", tmp_path / "home", tmp_path / "contexts").open(engine_url="")
    yield opened
    attempts = opened.places.attempts
    await opened.clean()
    assert processes.living(attempts) == {}


def _spec(bench: Workbench, program: str) -> ProcessorSpec:
    bench.context_folder({"processor.py": program})
    return processor(runtime={"cpu": 1, "memory_gb": "0.5", "timeout_s": 60})


async def test_a_log_is_told_while_it_is_written_and_from_any_position(bench: Workbench) -> None:
    spec = _spec(
        bench,
        """
import os, sys, time
print("first", flush=True)
print("aside", file=sys.stderr, flush=True)
while not os.path.exists("tmp/go"):
    time.sleep(0.02)
print("last", flush=True)
""",
    )
    place = await bench.place()
    assert await bench.runtime.logs(NAME) is None
    running = asyncio.create_task(bench.invoke(spec, place))
    found = await read_on(bench, NAME, until=b"aside\n")
    assert text(found, LogSource.STDOUT) == b"first\n"
    assert text(found, LogSource.STDERR) == b"aside\n"
    (place.directory / "tmp" / "go").touch()
    assert (await running).outcome is AttemptOutcome.SUCCEEDED
    assert text(await read_on(bench, NAME, found[-1].position)) == b"last\n"
    again = await read_on(bench, NAME)
    assert text(again, LogSource.STDOUT) == b"first\nlast\n"
    with pytest.raises(Invalid, match="position"):
        await bench.runtime.logs(NAME, after="3.0-3.0")


async def test_a_log_holds_no_secret(bench: Workbench) -> None:
    spec = _spec(
        bench,
        """
import os, sys
for letter in f"a {os.environ['TOKEN']} b":
    sys.stdout.write(letter)
    sys.stdout.flush()
print(os.environ["TOKEN"].encode().hex(), file=sys.stderr)
""",
    )
    place = await bench.place(secrets={"TOKEN": CANARY})
    assert (await bench.invoke(spec, place)).outcome is AttemptOutcome.SUCCEEDED
    found = await read_on(bench, NAME)
    assert (text(found, LogSource.STDOUT), text(found, LogSource.STDERR)) == (b"a *** b", b"***\n")


@pytest.mark.slow
async def test_of_a_flood_the_end_is_kept_and_memory_stays_flat(bench: Workbench) -> None:
    spec = _spec(bench, 'import sys\nfor n in range(1024):\n    sys.stdout.write("x" * 65535 + "\\n")\n')
    place = await bench.place()
    assert (await bench.invoke(spec, place)).outcome is AttemptOutcome.SUCCEEDED
    kept = sum(each.stat().st_size for each in place.directory.glob(".log/*"))
    told, memory = await flooded(bench, NAME)
    assert 8 * _MIB <= told <= kept <= 17 * _MIB
    assert memory < 8 * _MIB
    page = await bench.runtime.logs(NAME)
    assert page is not None
    assert page.gap
