"""Whether a log has signed a checkpoint, and how a ledger signs one: Ed25519 by the `cryptography` package."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from theory.core.checkpoint import Checkpoint, LogKey, parse_note
from theory.core.errors import Corrupt


def opened(note: bytes, key: LogKey) -> Checkpoint:
    """The checkpoint in a note that `key` has signed. Signatures of others are passed over.

    `Corrupt`: `CHECKPOINT_INVALID` for what is no checkpoint of this log, `SIGNATURE_INVALID` where it is not signed
    by this key, or a signature that says so is wrong.
    """
    found = parse_note(note)
    ours = [each.signature for each in found.signatures if (each.name, each.key_id) == (key.name, key.key_id)]
    if not ours:
        raise Corrupt("SIGNATURE_INVALID", "the checkpoint is not signed by this log", log=key.name)
    for signature in ours:
        verify_signature(found.text.encode(), signature, key.public_key)
    checkpoint = Checkpoint.parse(found.text)
    if checkpoint.origin != key.name:
        raise Corrupt("CHECKPOINT_INVALID", "the checkpoint is one of another log", log=key.name)
    return checkpoint


def verify_signature(message: bytes, signature: bytes, public_key: bytes) -> None:
    """Return where the key has signed the message; `Corrupt` (`SIGNATURE_INVALID`)."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise Corrupt("SIGNATURE_INVALID", "the signature is not of this key") from None
