"""The key of the log in a file of its home, and signatures by it."""

from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.drivers import key_file
from theory.core.checkpoint import LogKey

PUBLIC_FILE = "log.key"
"""What a home calls the public key, for clients on this machine; it is one line of text."""
_PRIVATE = Path("ledger") / "log.seed"
_NAME_CHARACTERS = 16


class FileSigner:
    """Signs as one log for ever: who replaces the key has another log."""

    def __init__(self, seed: bytes, name: str) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        public = self._private.public_key().public_bytes_raw()
        self.key = LogKey(name or f"theory.local/{public.hex()[:_NAME_CHARACTERS]}", public)

    @classmethod
    def load(cls, home: Path, name: str) -> Self:
        """The key of `home`, made on first use, its public part written beside; blocks for a moment.

        An empty `name` makes one of the key. `Denied` (`FILE_NOT_PRIVATE`), `Corrupt` (`STORE_CORRUPT`).
        """
        signer = cls(key_file.load_or_create(home / _PRIVATE), name)
        line = f"{signer.key.text}\n"
        public = home / PUBLIC_FILE
        if not public.exists() or public.read_text("ascii", "replace") != line:
            key_file.replace(public, line.encode("ascii"))
        return signer

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"FileSigner({self.key.name})"
