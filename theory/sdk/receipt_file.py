"""Receipts that leave their installation: one file, which anyone who has the log's key can verify with no service.

The file is JSON: the receipt as the ledger keeps it, an in-toto statement about it in a DSSE envelope, the event that
carries it, and the proof that this event is a leaf of a tree that the log signed.
"""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from theory.core import jcs, merkle
from theory.core.chain import Event, event_hash_of, unseal, verify_chain
from theory.core.checkpoint import Checkpoint, LogKey
from theory.core.errors import Corrupt, Invalid, TheoryError
from theory.core.jcs import JSON
from theory.core.provenance import PAYLOAD_TYPE, signed_bytes, statement_of
from theory.core.receipt import Receipt
from theory.core.tiles import leaf_of
from theory.sdk.log_key import opened, verify_signature

MEDIA_TYPE = "application/vnd.theory.receipt+json;version=1"
MAX_FILE_BYTES = 64 * 1024 * 1024
"""A longer file is not read."""

CARRIERS = frozenset({"budget.settled", "execution.settled", "execution.lost"})
"""The kinds of events that carry a settle receipt."""


@dataclass(frozen=True, slots=True)
class ReceiptParts:
    """What a file holds, before anybody believes it."""

    receipt: bytes
    event: bytes
    """The bytes that were hashed of the event that carries the receipt."""
    log_index: int
    proof: tuple[bytes, ...]
    checkpoint: bytes
    signature: bytes
    """Of the statement, by the log's key."""


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """What a file proves."""

    receipt: Receipt
    event: Event
    log_index: int
    """Which leaf of the log the event is."""
    checkpoint: Checkpoint
    """The signed state of the log that the event is part of."""


def written(parts: ReceiptParts, key: LogKey) -> bytes:
    """The file; a repeat with the same parts is the same bytes."""
    receipt = Receipt.parse(parts.receipt)
    payload = statement_of(receipt, key.name)
    document: dict[str, JSON] = {
        "media_type": MEDIA_TYPE,
        "receipt": _text(parts.receipt),
        "envelope": {
            "payloadType": PAYLOAD_TYPE,
            "payload": _text(payload),
            "signatures": [{"keyid": key.key_id.hex(), "sig": _text(parts.signature)}],
        },
        "event": _text(parts.event),
        "log": {
            "index": parts.log_index,
            "proof": [_text(each) for each in parts.proof],
            "checkpoint": parts.checkpoint.decode(),
        },
    }
    return jcs.canonical(document, floats=False) + b"\n"


def verified(data: bytes, key: LogKey) -> VerifiedReceipt:
    """What the file proves to whoever believes `key`. Nothing is asked of anybody.

    `Invalid` (`RECEIPT_FILE_INVALID`) for what is no such file. `Corrupt`: `RECEIPT_CORRUPT` (the receipt, the
    statement, or the event that is said to carry it), `SIGNATURE_INVALID`, `CHECKPOINT_INVALID`, `PROOF_INVALID`.
    """
    document = _document(data)
    receipt = Receipt.parse(_bytes(document, "receipt"))
    if receipt.kind != "settle":
        raise Corrupt("RECEIPT_CORRUPT", "a reservation proves nothing to others", receipt_id=receipt.receipt_id)
    envelope, log = _object(document, "envelope"), _object(document, "log")
    _verify_envelope(envelope, receipt, key)
    event = _carrier(_bytes(document, "event"), receipt)
    note = log.get("checkpoint")
    checkpoint = opened(note.encode() if isinstance(note, str) else b"", key)
    index, proof = log.get("index"), log.get("proof")
    if type(index) is not int or not isinstance(proof, list):
        raise _no_file("log")
    hashes = [_decoded(each, "proof") for each in proof]
    merkle.verify_inclusion(leaf_of(event.this_hash), index, checkpoint.size, checkpoint.root, hashes)
    return VerifiedReceipt(receipt, event, index, checkpoint)


def _verify_envelope(envelope: Mapping[str, JSON], receipt: Receipt, key: LogKey) -> None:
    payload = _bytes(envelope, "payload")
    if envelope.get("payloadType") != PAYLOAD_TYPE or payload != statement_of(receipt, key.name):
        raise Corrupt("RECEIPT_CORRUPT", "the statement is not what the receipt says", receipt_id=receipt.receipt_id)
    signatures = envelope.get("signatures")
    ours = [
        each
        for each in (signatures if isinstance(signatures, list) else [])
        if isinstance(each, dict) and each.get("keyid") == key.key_id.hex()
    ]
    if not ours:
        raise Corrupt("SIGNATURE_INVALID", "the statement is not signed by this log", log=key.name)
    for each in ours:
        verify_signature(signed_bytes(payload), _decoded(each.get("sig"), "sig"), key.public_key)


def _carrier(preimage: bytes, receipt: Receipt) -> Event:
    """The event that says that the ledger made this receipt."""
    try:
        event = unseal(preimage, event_hash_of(preimage))
        faults = verify_chain([event], plan_id=receipt.plan_id, head=None, start=(event.seq - 1, event.prev_hash))
    except TheoryError as error:
        raise _other_event(receipt) from error
    if faults or event.kind not in CARRIERS or event.body.get("receipt_id") != receipt.receipt_id:
        raise _other_event(receipt)
    return event


def _other_event(receipt: Receipt) -> Corrupt:
    return Corrupt("RECEIPT_CORRUPT", "the event does not carry this receipt", receipt_id=receipt.receipt_id)


def _document(data: bytes) -> Mapping[str, JSON]:
    try:
        found = jcs.parse_object(data.removesuffix(b"\n"), max_bytes=MAX_FILE_BYTES)
    except TheoryError as error:
        raise Invalid("RECEIPT_FILE_INVALID", f"this is no receipt file: {error.message}", field="$") from error
    if found.get("media_type") != MEDIA_TYPE:
        raise _no_file("media_type")
    if jcs.canonical(found) + b"\n" != data:  # so that no byte of a file is of no account
        raise _no_file("$")
    return found


def _object(document: Mapping[str, JSON], field: str) -> Mapping[str, JSON]:
    found = document.get(field)
    if not isinstance(found, dict):
        raise _no_file(field)
    return cast("Mapping[str, JSON]", found)


def _bytes(document: Mapping[str, JSON], field: str) -> bytes:
    return _decoded(document.get(field), field)


def _decoded(value: JSON, field: str) -> bytes:
    try:
        raw = b64decode(value, validate=True) if isinstance(value, str) else None
    except (Base64Error, ValueError):
        raw = None
    if raw is None or _text(raw) != value:
        raise _no_file(field)
    return raw


def _text(data: bytes) -> str:
    return b64encode(data).decode()


def _no_file(field: str) -> Invalid:
    return Invalid("RECEIPT_FILE_INVALID", "this is no receipt file, or one of another version", field=field)
