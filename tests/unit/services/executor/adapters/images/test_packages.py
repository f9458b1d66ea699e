"""Sets of pinned packages: asked for once, refused without hashes. Nothing is fetched here."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.executor.adapters.images import packages as module
from services.executor.adapters.images.packages import PackageSets, Target
from services.executor.adapters.threads import Threads
from theory.core.errors import NotReady

HERE = Target(sys.executable, None)


@pytest.fixture
async def sets(tmp_path: Path) -> AsyncIterator[PackageSets]:
    threads = Threads("test", 2)
    opened = PackageSets(tmp_path / "packages", threads)
    yield opened
    await opened.close()
    threads.close()


def _installs(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr(module, "_command", lambda target: ["/bin/sh", "-c", script])


async def test_a_set_is_installed_once(sets: PackageSets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _installs(monkeypatch, f"echo . >> {tmp_path}/calls; cat requirements.txt > site/module.py")
    asked = [sets.folder("a@1", b"module==1", HERE) for _ in range(3)]
    folders = {*await asyncio.gather(*asked), await sets.folder("b@1", b"module==1", HERE)}
    assert [each.name for folder in folders for each in folder.iterdir()] == ["module.py"]
    assert (tmp_path / "calls").read_text() == ".\n"


async def test_other_requirements_and_other_targets_are_other_sets(
    sets: PackageSets, monkeypatch: pytest.MonkeyPatch
) -> None:
    _installs(monkeypatch, "true")
    folders = {
        await sets.folder("a@1", b"module==1", HERE),
        await sets.folder("a@1", b"module==2", HERE),
        await sets.folder("a@1", b"module==1", Target("3.11", "x86_64-manylinux_2_28")),
    }
    assert len(folders) == 3


async def test_the_installer_is_told_of_indexes_and_of_nothing_else(
    sets: PackageSets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I-44: any variable of this process may be a secret."""
    for name, value in {"UV_DEFAULT_INDEX": "a", "https_proxy": "b", "API_KEY": "sk-1"}.items():
        monkeypatch.setenv(name, value)
    _installs(monkeypatch, "env > site/variables")
    told = ((await sets.folder("a@1", b"module==1", HERE)) / "variables").read_text()
    assert {"UV_DEFAULT_INDEX=a", "https_proxy=b"} <= set(told.splitlines())
    assert "sk-1" not in told


async def test_a_failure_says_the_installers_last_words_and_leaves_nothing(
    sets: PackageSets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _installs(monkeypatch, "echo first; echo no such package >&2; exit 1")
    with pytest.raises(NotReady) as caught:
        await sets.folder("a@1", b"module==1", HERE)
    assert caught.value.reason == "IMAGE_UNAVAILABLE"
    assert "no such package" in caught.value.message
    assert list((tmp_path / "packages").iterdir()) == []


async def test_an_installer_that_hangs_is_killed(sets: PackageSets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_INSTALL_S", 0.05)
    _installs(monkeypatch, "exec sleep 60")
    with pytest.raises(NotReady) as caught:
        await sets.folder("a@1", b"module==1", HERE)
    assert "not done within" in caught.value.message


async def test_requirements_without_a_hash_are_refused_by_the_real_installer(sets: PackageSets) -> None:
    with pytest.raises(NotReady) as caught:
        await sets.folder("a@1", b"pillow==13.0.0\n", HERE)
    assert "hash" in caught.value.message.lower()


async def test_the_real_installer_names_no_path_of_the_host(sets: PackageSets, tmp_path: Path) -> None:
    with pytest.raises(NotReady) as caught:
        await sets.folder("a@1", b"this is no requirement\n", HERE)
    assert "requirements.txt" in caught.value.message
    assert str(tmp_path) not in caught.value.message


async def test_what_a_killed_executor_left_is_swept(sets: PackageSets, tmp_path: Path) -> None:
    (tmp_path / "packages" / ".new-abc" / "site").mkdir(parents=True)
    (tmp_path / "packages" / "kept").mkdir()
    sets.sweep()
    assert [each.name for each in (tmp_path / "packages").iterdir()] == ["kept"]
