"""`theory up` and the demo's script, as the processes that people start and interrupt."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from theory.core import jcs
from theory.sdk.client import Theory
from theory.wire.home import socket_url

pytestmark = pytest.mark.slow

_ROOT = Path(__file__).parents[2]
_WITHIN_S = 60
_MOCK = {"THEORY_EXECUTOR_RUNTIMES": "mock", "THEORY_EXECUTOR_DEFAULT_RUNTIME": "mock"}


@asynccontextmanager
async def _process(*command: str, **variables: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of its own session; whatever happens, it is gone afterwards."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=_ROOT,
        env={**_environment(), **variables},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


def _environment() -> Mapping[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("THEORY_")}


def _up(home: Path, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "theory.cli", "--home", str(home), "up", *arguments)


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("h") / "home"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_says_where_it_listens_and_drains_when_it_is_told_to_end(home: Path, number: signal.Signals) -> None:
    async with asyncio.timeout(_WITHIN_S), _process(*_up(home, "--json"), **_MOCK) as process:
        assert process.stdout is not None
        said = await process.stdout.readuntil(b"\n}\n")
        document = jcs.parse_object(said)
        assert document["url"] == socket_url(home, "theory")
        assert document["default_runtime"] == "mock"
        async with Theory.connect(socket_url(home, "theory")) as theory:
            assert (await theory.ledger.capabilities()).durable
        process.send_signal(number)
        _, err = await process.communicate()
        assert process.returncode == 0
        assert err == b"draining ...\nstopped\n"
    assert not (home / "theory.sock").exists()
    assert (home / "services.log").stat().st_size > 0


async def test_a_home_that_is_in_use_is_refused_and_its_services_stay(home: Path) -> None:
    async with asyncio.timeout(_WITHIN_S), _process(*_up(home), **_MOCK) as first:
        assert first.stdout is not None
        assert await first.stdout.readline() == b"theory is up: registry, executor, artifacts, resources, ledger\n"
        async with _process(*_up(home), **_MOCK) as second:
            _, err = await second.communicate()
        assert second.returncode != 0
        assert b"HOME_LOCKED" in err
        async with Theory.connect(socket_url(home, "theory")) as theory:
            assert (await theory.ledger.capabilities()).durable


async def test_a_wrong_setting_is_one_sentence(home: Path) -> None:
    async with asyncio.timeout(_WITHIN_S), _process(*_up(home), THEORY_EXECUTOR_RUNTIME="mock") as process:
        _, err = await process.communicate()
    assert process.returncode == 3
    assert b"not a setting: THEORY_EXECUTOR_RUNTIME" in err
    assert b"Traceback" not in err


async def test_services_that_are_killed_are_told(home: Path) -> None:
    async with asyncio.timeout(_WITHIN_S), _process(*_up(home), **_MOCK) as process:
        assert process.stdout is not None
        await process.stdout.readline()
        (services,) = [each for each in psutil.Process(process.pid).children() if "services" in each.cmdline()]
        services.kill()
        _, err = await process.communicate()
    assert process.returncode == 3
    assert b"error: the services were killed by SIGKILL" in err
    assert b"reason: SERVICES_ENDED" in err


async def test_the_demo_runs_verifies_and_leaves_nothing_running(home: Path) -> None:
    photographs = _ROOT / ".theory" / "photos"
    if not photographs.is_dir():
        pytest.skip("the photographs were not fetched here: `make run` does")
    command = (sys.executable, "deploy/run.py", "mock")
    for expected in (b"17 executions: 17 ran", b"17 executions: all memo hits, nothing had to run"):
        async with asyncio.timeout(_WITHIN_S), _process(*command, THEORY_HOME=str(home)) as process:
            out, err = await process.communicate()
        assert process.returncode == 0, (out, err)
        assert expected in out
        assert b"verified: " in out
        assert out.endswith(b"services: stopped\n")
        assert not (home / "theory.sock").exists()
    assert len(list((home / "outputs").iterdir())) == 2


async def test_the_demo_stops_its_services_when_it_is_interrupted(home: Path) -> None:
    command = (sys.executable, "deploy/run.py", "mock")
    async with asyncio.timeout(_WITHIN_S), _process(*command, THEORY_HOME=str(home)) as process:
        assert process.stdout is not None
        while not (line := await process.stdout.readline()).startswith(b"services: started"):
            if not line:
                pytest.skip("the photographs cannot be fetched here")
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    assert process.returncode in {0, 130}, (out, err)
    assert b"services: stopped\n" in out
    assert not (home / "theory.sock").exists()
