"""The key of the log: made once, private, its public part beside it."""

from pathlib import Path

import pytest

from services.ledger.adapters.signer import PUBLIC_FILE, FileSigner
from theory.core.checkpoint import LogKey
from theory.core.errors import Denied
from theory.sdk.log_key import verify_signature


def test_a_home_keeps_its_key(tmp_path: Path) -> None:
    first, second = (FileSigner.load(tmp_path, "") for _ in range(2))
    assert first.key == second.key
    assert LogKey.parse((tmp_path / PUBLIC_FILE).read_text()) == first.key
    assert first.key.name == f"theory.local/{first.key.public_key.hex()[:16]}"


def test_what_it_signs_is_verified_by_its_key(tmp_path: Path) -> None:
    signer = FileSigner.load(tmp_path, "log.example")
    verify_signature(b"message", signer.sign(b"message"), signer.key.public_key)


def test_another_name_is_told_beside_the_key(tmp_path: Path) -> None:
    FileSigner.load(tmp_path, "")
    renamed = FileSigner.load(tmp_path, "log.example")
    assert LogKey.parse((tmp_path / PUBLIC_FILE).read_text()) == renamed.key


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    FileSigner.load(tmp_path, "")
    (tmp_path / "ledger" / "log.seed").chmod(0o644)
    with pytest.raises(Denied):
        FileSigner.load(tmp_path, "")


def test_it_does_not_show_its_key() -> None:
    assert repr(FileSigner(b"s" * 32, "log.example")) == "FileSigner(log.example)"
