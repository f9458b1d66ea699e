"""A watchman lives as long as its executor holds the other end, and there is one at a time."""

import asyncio
from pathlib import Path

import psutil
import pytest

from services.executor.adapters.runtimes.local.watchman import Watchman
from tests.integration.workbench import until

pytestmark = pytest.mark.slow


def _watchman(home: Path) -> Watchman:
    return Watchman(home, "home", f"unix://{home}/none.sock", 0.5)


async def _pid(home: Path) -> int:
    file = home / "watchman.pid"
    await until(lambda: file.exists() and file.read_text() != "")
    return int(file.read_text())


async def test_one_watches_however_often_it_is_asked_for(tmp_path: Path) -> None:
    watchman = _watchman(tmp_path)
    await asyncio.to_thread(watchman.keep)
    first = await _pid(tmp_path)
    watchman.keep()
    assert await _pid(tmp_path) == first
    psutil.Process(first).kill()
    await until(lambda: psutil.Process(first).status() == psutil.STATUS_ZOMBIE)
    (tmp_path / "watchman.pid").unlink()
    watchman.keep()
    second = await _pid(tmp_path)
    assert second != first
    watchman.close(needed=True)
    watchman.close(needed=True)
    # Nobody holds it, and its home has another one: it ends.
    (tmp_path / "watchman.pid").write_text("0")
    await until(lambda: psutil.Process(second).status() == psutil.STATUS_ZOMBIE)


async def test_one_that_is_not_needed_ends_at_once(tmp_path: Path) -> None:
    watchman = _watchman(tmp_path)
    watchman.close(needed=False)
    watchman.keep()
    pid = await _pid(tmp_path)
    watchman.close(needed=False)
    assert not psutil.pid_exists(pid)
    watchman.close(needed=False)


async def test_several_that_ask_at_once_get_one(tmp_path: Path) -> None:
    watchman = _watchman(tmp_path)
    await asyncio.gather(*(asyncio.to_thread(watchman.keep) for _ in range(8)))
    await _pid(tmp_path)
    found = psutil.process_iter(["cmdline"])  # of the dead it says none
    own = [each for each in found if f"{tmp_path}/watchman.pid" in (each.info["cmdline"] or [])]
    watchman.close(needed=False)
    assert len(own) == 1
