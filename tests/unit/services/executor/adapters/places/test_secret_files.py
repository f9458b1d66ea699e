"""Secrets below `/dev/shm`, for executors that cannot mount."""

from pathlib import Path

import pytest

from services.executor.adapters.places import mount
from services.executor.adapters.places.secret_files import SharedMemorySecrets
from theory.core.errors import Unsupported
from theory.core.secret import Secret

SECRETS = {"KEY": Secret("KEY", "sk-canary")}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    directory = tmp_path / "plan.step-a0" / "run"
    directory.mkdir(parents=True)
    return directory


def test_the_directory_is_a_link_to_memory(run: Path, tmp_path: Path) -> None:
    held = SharedMemorySecrets(tmp_path)
    held.write(run, SECRETS)
    assert run.is_symlink()
    assert (run / "secrets" / "KEY").read_text() == "sk-canary"
    assert held.names() == ("plan.step-a0",)
    held.remove("plan.step-a0")
    held.remove("plan.step-a0")
    assert held.names() == ()
    run.resolve().parent.rmdir()


def test_a_disk_is_no_place_for_a_secret(run: Path, tmp_path: Path) -> None:
    with pytest.raises(Unsupported) as caught:
        SharedMemorySecrets(tmp_path, shared=tmp_path).write(run, SECRETS)
    assert caught.value.reason == "CAPABILITY_MISSING"


def test_a_directory_that_others_may_read_is_refused(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mount, "memory_backed", lambda _: True)
    held = SharedMemorySecrets(tmp_path, shared=tmp_path)
    held._root.mkdir(mode=0o755)
    with pytest.raises(Unsupported):
        held.write(run, SECRETS)


def test_a_link_that_somebody_planted_is_refused(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mount, "memory_backed", lambda _: True)
    held = SharedMemorySecrets(tmp_path, shared=tmp_path)
    held._root.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    with pytest.raises(Unsupported):
        held.write(run, SECRETS)


def test_installations_do_not_meet(tmp_path: Path) -> None:
    assert SharedMemorySecrets(tmp_path / "a")._root != SharedMemorySecrets(tmp_path / "b")._root


def test_a_log_lies_beside_the_values_in_memory(run: Path, tmp_path: Path) -> None:
    held = SharedMemorySecrets(tmp_path)
    held.write(run, SECRETS)
    log = run.parent / ".log"
    held.keep(log)
    assert mount.memory_backed(log)
    (log / "0").write_text("sk-canary")
    held.remove("plan.step-a0")
    assert not log.exists()
    run.resolve().parent.rmdir()
