"""The checksum of a body as HTTP writes it: `Repr-Digest: sha-256=:<base64>:` (RFC 9530)."""

import base64

HEADER = "Repr-Digest"


def of(sha256: str) -> str:
    """The header's value for a SHA-256 in hex."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"
