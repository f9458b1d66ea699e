"""The one lock names versions, markers and hashes, and no address."""

import re
from pathlib import Path

import pytest

from tests.architecture import tree

PIN = re.compile(r"^[a-z0-9][a-z0-9._-]*(\[[a-z0-9,-]+\])?==\S+( ; [^\\]+)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")
LOCKS = [path for path in tree.files() if re.fullmatch(r"requirements(\..+)?\.lock", path.name)]


def test_the_lock_is_here() -> None:
    assert "requirements.lock" in {str(path) for path in LOCKS}


@pytest.mark.parametrize("path", LOCKS, ids=str)
def test_no_line_of_a_lock_is_an_address_or_an_option(path: Path) -> None:
    lines = (tree.ROOT / path).read_text("utf-8").splitlines()
    assert [line for line in lines if "://" in line or line.startswith("-")] == []


@pytest.mark.parametrize("path", LOCKS, ids=str)
def test_every_package_of_a_lock_has_a_hash(path: Path) -> None:
    lines = [line for line in (tree.ROOT / path).read_text("utf-8").splitlines() if not line.strip().startswith("#")]
    assert [line for line in lines if not (PIN.match(line) or HASH.match(line))] == []
    assert [a for a, b in zip(lines, [*lines[1:], ""], strict=True) if PIN.match(a) and not HASH.match(b)] == []


def test_locks_that_record_addresses_are_not_tracked() -> None:
    assert [str(path) for path in tree.files() if re.fullmatch(r"uv\.lock|pylock.*\.toml", path.name)] == []
