"""Keys in private files."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.drivers import key_file
from theory.core.errors import Corrupt, Denied


def test_a_key_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "home" / "a.key"
    key = key_file.load_or_create(path)
    assert len(key) == key_file.KEY_BYTES
    assert key_file.load_or_create(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["a.key"]
    assert key_file.load_or_create(tmp_path / "b.key") != key


def test_who_starts_at_once_gets_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(key_file.load_or_create, [tmp_path / "a.key"] * 32))
    assert len(keys) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["a.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_could_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.key"
    key_file.load_or_create(path)
    path.chmod(mode)
    with pytest.raises(Denied):
        key_file.load_or_create(path)


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33])
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.key"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(Corrupt):
        key_file.load_or_create(path)
