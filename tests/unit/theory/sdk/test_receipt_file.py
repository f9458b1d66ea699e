"""Files of receipts: what is sound is believed, and whatever is changed is refused."""

from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest

from services.ledger.adapters.signer import FileSigner
from tests.unit.theory.sdk.sealed import PLACE, RECEIPT, RESERVATION, SIGNER, SIZE, Sealed
from theory.core import jcs
from theory.core.errors import Corrupt, Invalid, TheoryError
from theory.sdk.receipt_file import verified

SOUND = Sealed()
FILE = SOUND.file()
OTHER = FileSigner(bytes(32), SIGNER.key.name)


def refusal(data: bytes) -> str:
    with pytest.raises((Corrupt, Invalid)) as caught:
        verified(data, SIGNER.key)
    return caught.value.reason


def edited(**changes: Any) -> bytes:
    """The file with other values of its own fields."""
    document = jcs.parse_object(FILE.removesuffix(b"\n"))
    for name, value in changes.items():
        outer, _, inner = name.partition("__")
        if inner:
            document[outer] = {**document[outer], inner: value}  # type: ignore[dict-item]  # an object
        else:
            document[outer] = value
    return jcs.canonical(document) + b"\n"


def test_a_sound_file_is_believed() -> None:
    found = verified(FILE, SIGNER.key)
    assert found.receipt == RECEIPT
    assert (found.event.seq, found.log_index, found.checkpoint.size) == (7, PLACE, SIZE)


def test_the_same_receipt_is_the_same_file() -> None:
    assert SOUND.file() == FILE


@pytest.mark.slow
def test_no_byte_of_a_file_may_change() -> None:
    for at in range(len(FILE)):
        changed = bytearray(FILE)
        changed[at] ^= 1 << (at % 8)
        with pytest.raises(TheoryError):
            verified(bytes(changed), SIGNER.key)


@pytest.mark.parametrize("data", [b"", b"\n", b"{}", b"[]\n", FILE[:-1], FILE + b"\n", b" " + FILE, FILE[:500]])
def test_what_is_no_file_is_refused(data: bytes) -> None:
    assert refusal(data) == "RECEIPT_FILE_INVALID"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (edited(media_type="application/vnd.theory.receipt+json;version=2"), "RECEIPT_FILE_INVALID"),
        (edited(receipt=7), "RECEIPT_FILE_INVALID"),
        (edited(event="!"), "RECEIPT_FILE_INVALID"),
        (edited(log=[]), "RECEIPT_FILE_INVALID"),
        (edited(log__index="41"), "RECEIPT_FILE_INVALID"),
        (edited(log__index=True), "RECEIPT_FILE_INVALID"),
        (edited(log__proof=[7]), "RECEIPT_FILE_INVALID"),
        (edited(log__index=PLACE + 1), "PROOF_INVALID"),
        (edited(log__index=-1), "PROOF_INVALID"),
        (edited(log__proof=[]), "PROOF_INVALID"),
        (edited(log__checkpoint=""), "CHECKPOINT_INVALID"),
        (edited(log__checkpoint=None), "CHECKPOINT_INVALID"),
        (edited(envelope__payloadType="text/plain"), "RECEIPT_CORRUPT"),
        (edited(envelope__payload="e30="), "RECEIPT_CORRUPT"),
        (edited(envelope__signatures=[]), "SIGNATURE_INVALID"),
        (edited(envelope__signatures=[7, {"keyid": "00000000", "sig": ""}]), "SIGNATURE_INVALID"),
    ],
)
def test_a_field_that_says_something_else_is_refused(data: bytes, reason: str) -> None:
    assert refusal(data) == reason


@pytest.mark.parametrize(
    ("sealed", "reason"),
    [
        (replace(SOUND, kind="plan.noted"), "RECEIPT_CORRUPT"),
        (replace(SOUND, carried="b3:" + "0" * 64), "RECEIPT_CORRUPT"),
        (replace(SOUND, plan_id="p-2"), "RECEIPT_CORRUPT"),
        (replace(SOUND, statement_signer=OTHER), "SIGNATURE_INVALID"),
        (replace(SOUND, log_signer=OTHER), "SIGNATURE_INVALID"),
        (replace(SOUND, log_signer=FileSigner(bytes(range(32)), "other.example")), "SIGNATURE_INVALID"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(sealed: Sealed, reason: str) -> None:
    """Each is sound in itself, and made by somebody who may have a key of his own."""
    assert refusal(sealed.file()) == reason


def test_a_proof_for_another_size_is_refused() -> None:
    assert refusal(SOUND.file(proof=replace(SOUND, size=SIZE - 1).parts().proof)) == "PROOF_INVALID"


def test_a_reservation_is_not_exported() -> None:
    data = edited(receipt=b64encode(RESERVATION.preimage).decode())
    assert refusal(data) == "RECEIPT_CORRUPT"


def test_another_log_is_not_believed() -> None:
    with pytest.raises(Corrupt):
        verified(FILE, OTHER.key)


def test_a_signature_of_somebody_else_beside_it_changes_nothing() -> None:
    ours = {"keyid": SIGNER.key.key_id.hex(), "sig": b64encode(SOUND.parts().signature).decode()}
    both = edited(envelope__signatures=[{"keyid": "00000000", "sig": "AA=="}, ours])
    assert verified(both, SIGNER.key).receipt == RECEIPT
