"""Signatures of logs: the published vectors of Ed25519, and notes that are not of the log that is known."""

import json
from contextlib import nullcontext
from pathlib import Path

import pytest

from services.ledger.adapters.signer import FileSigner
from theory.core.checkpoint import Checkpoint, LogKey, note_of
from theory.core.errors import Corrupt
from theory.sdk.log_key import opened, verify_signature

VECTORS = Path(__file__).parents[3] / "vectors" / "ed25519" / "test_vectors.json"
SIGNER = FileSigner(bytes(range(32)), "log.example")
CHECKPOINT = Checkpoint("log.example", 5, bytes(range(32)))


def signed(text: str = CHECKPOINT.text, by: FileSigner = SIGNER) -> bytes:
    return note_of(text, by.key, by.sign(text.encode()))


def test_the_published_vectors_hold() -> None:
    count = 0
    for group in json.loads(VECTORS.read_bytes())["testGroups"]:
        key = bytes.fromhex(group["publicKey"]["pk"])
        for each in group["tests"]:
            refusal = nullcontext() if each["result"] == "valid" else pytest.raises(Corrupt, match="not of this key")
            with refusal:
                verify_signature(bytes.fromhex(each["msg"]), bytes.fromhex(each["sig"]), key)
            count += 1
    assert count > 100


def test_what_the_log_signed_is_believed() -> None:
    assert opened(signed(), SIGNER.key) == CHECKPOINT


def test_a_signature_of_another_beside_it_changes_nothing() -> None:
    other = FileSigner(bytes(32), "witness")
    line = signed(by=other).rpartition(b"\n\n")[2]
    assert opened(signed() + line, SIGNER.key) == CHECKPOINT


@pytest.mark.parametrize("at", range(0, len(signed()), 3))
def test_no_byte_of_a_note_may_change(at: int) -> None:
    note = bytearray(signed())
    note[at] ^= 1
    with pytest.raises(Corrupt) as caught:
        opened(bytes(note), SIGNER.key)
    assert caught.value.reason in {"SIGNATURE_INVALID", "CHECKPOINT_INVALID"}


def test_another_key_of_the_same_name_is_another_log() -> None:
    imposter = FileSigner(bytes(32), "log.example")
    with pytest.raises(Corrupt) as caught:
        opened(signed(by=imposter), SIGNER.key)
    assert caught.value.reason == "SIGNATURE_INVALID"


def test_a_checkpoint_of_another_origin_is_refused_though_it_is_signed() -> None:
    with pytest.raises(Corrupt) as caught:
        opened(signed(Checkpoint("other.example", 5, bytes(32)).text), SIGNER.key)
    assert caught.value.reason == "CHECKPOINT_INVALID"


def test_two_signatures_of_the_log_have_to_be_right_both() -> None:
    wrong = note_of("", SIGNER.key, b"x" * 64).strip(b"\n") + b"\n"
    with pytest.raises(Corrupt):
        opened(signed() + wrong, SIGNER.key)


def test_a_short_key_verifies_nothing() -> None:
    with pytest.raises(Corrupt):
        opened(signed(), LogKey("log.example", b""))
