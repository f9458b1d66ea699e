"""Logs of real containers: read while they are written, from any position, without secrets, whatever their length."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests import backends
from tests.integration.logs import flooded, read_on, text
from tests.integration.workbench import PLAIN, PLAN, Workbench, base_image_missing, forget_images, scripted
from theory.core.adapters import LogSource
from theory.core.errors import NotReady
from theory.core.receipt import AttemptOutcome

pytestmark = pytest.mark.docker

NAME = f"{PLAN}.step-a0"
CANARY = "sk-canary-48151623"
_MIB = 1024 * 1024


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


async def test_a_log_is_told_while_it_is_written_and_from_any_position(bench: Workbench) -> None:
    spec = scripted("echo first; echo aside >&2; while [ ! -e out/go ]; do sleep 0.05; done; echo last")
    place = await bench.place()
    assert await bench.runtime.logs(NAME) is None
    running = asyncio.create_task(bench.invoke(spec, place))
    found = await read_on(bench, NAME, until=b"aside\n")
    if b"first" not in text(found):
        found += await read_on(bench, NAME, found[-1].position, until=b"first\n")
    assert (text(found, LogSource.STDOUT), text(found, LogSource.STDERR)) == (b"first\n", b"aside\n")
    (place.out / "go").touch()
    assert (await running).outcome is AttemptOutcome.SUCCEEDED
    assert text(await read_on(bench, NAME, found[-1].position)) == b"last\n"
    assert text(await read_on(bench, NAME), LogSource.STDOUT) == b"first\nlast\n"
    await bench.runtime.release(NAME)
    assert await bench.runtime.logs(NAME) is None


async def test_every_position_of_a_log_is_one_to_go_on_from(bench: Workbench) -> None:
    lines = b"".join(b"line %d\n" % number for number in range(300))
    spec = scripted("n=0; while [ $n -lt 300 ]; do echo line $n; n=$((n + 1)); done; sleep 0.1; echo end >&2")
    assert (await bench.invoke(spec)).outcome is AttemptOutcome.SUCCEEDED
    after, told = "", b""
    while True:
        page = await bench.runtime.logs(NAME, after=after, max_bytes=700)
        assert page is not None
        told += text(list(page.pieces), LogSource.STDOUT)
        if page.ended:
            break
        after = page.pieces[-1].position
    assert told == lines


async def test_a_log_holds_no_secret(bench: Workbench) -> None:
    spec = scripted('printf "a %s" "${TOKEN%%ary*}"; sleep 0.2; echo "ary-48151623 b"; echo "$TOKEN" >&2')
    place = await bench.place(secrets={"TOKEN": CANARY})
    running = asyncio.create_task(bench.invoke(spec, place))
    found = await read_on(bench, NAME)
    assert (await running).outcome is AttemptOutcome.SUCCEEDED
    assert (text(found, LogSource.STDOUT), text(found, LogSource.STDERR)) == (b"a *** b\n", b"***\n")


@pytest.mark.slow
async def test_of_a_flood_the_end_is_kept_and_memory_stays_flat(bench: Workbench) -> None:
    spec = scripted("yes $(printf %01000d 0) | head -c 67108864", timeout_s=120)
    assert (await bench.invoke(spec)).outcome is AttemptOutcome.SUCCEEDED
    told, memory = await flooded(bench, NAME)
    assert 0 < told <= 21 * _MIB
    assert memory < 16 * _MIB


async def test_where_no_engine_answers_that_is_said(tmp_path: Path) -> None:
    away = await Workbench("local", tmp_path / "home", tmp_path / "contexts").open(engine_url="unix:///nowhere.sock")
    with pytest.raises(NotReady, match="container engine"):
        await away.runtime.logs(NAME)
    await away.close()
