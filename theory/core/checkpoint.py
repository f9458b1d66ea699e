"""What a ledger signs: the size and the root of its tree, as a note that other tools of transparency logs read too.

The signatures themselves are made and judged elsewhere; here are the words. Sources: C2SP tlog-checkpoint and
signed-note.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple, Self

from theory.core.errors import Corrupt, Invalid, shown
from theory.core.merkle import HASH_BYTES

MAX_NOTE_BYTES = 16 * 1024
"""More than any note of ours has: a longer one is not read."""
PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64

_ED25519 = b"\1"
_MARK = "\N{EM DASH} "
_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]{1,200}").fullmatch
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}").fullmatch
_MAX_SIZE = 2**63 - 1
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]").search
_CHECKPOINT_LINES = 3


class NoteSignature(NamedTuple):
    """One line below a note: whose key it says it is of, and the bytes."""

    name: str
    key_id: bytes
    """4 bytes; they tell keys of one name apart and prove nothing."""
    signature: bytes


class Note(NamedTuple):
    """A text and the signatures below it, not verified."""

    text: str
    """It ends with a newline, which is signed, too."""
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True, slots=True)
class LogKey:
    """Who a log is: its name and its Ed25519 key. Whoever holds it can tell this log from every other."""

    name: str
    """Such as `theory.example.org/ledger`: no spaces, no plus sign."""
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that stand in front of its signatures."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public_key).digest()[:4]

    @property
    def text(self) -> str:
        """The key on one line: `name+key id+key`, as other tools of signed notes write it."""
        return f"{self.name}+{self.key_id.hex()}+{b64encode(_ED25519 + self.public_key).decode()}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The key that `text` writes; `Invalid` (`LOG_KEY_INVALID`)."""
        name, plus, rest = text.strip().partition("+")
        key_id, _, key = rest.partition("+")
        raw = _decoded(key)
        if plus and _NAME(name) and raw is not None and raw[:1] == _ED25519 and len(raw) == 1 + PUBLIC_KEY_BYTES:
            found = cls(name, raw[1:])
            if found.key_id.hex() == key_id:
                return found
        raise Invalid(
            "LOG_KEY_INVALID", "a log's key is one line, name+id+key, as its ledger wrote it", value=shown(text)
        )


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One state of a log: all of its leaves, in their order."""

    origin: str
    """The name of the log."""
    size: int
    """How many leaves."""
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The checkpoint that a note says; further lines are of others and are passed over.

        `Corrupt` (`CHECKPOINT_INVALID`) for a text that is none.
        """
        lines = text.split("\n")
        if len(lines) > _CHECKPOINT_LINES and not lines.pop() and all(lines):
            origin, size, root = lines[:_CHECKPOINT_LINES]
            raw = _decoded(root)
            if _SIZE(size) and int(size) <= _MAX_SIZE and raw is not None and len(raw) == HASH_BYTES:
                return cls(origin, int(size), raw)
        raise _invalid("the text is no checkpoint")


def is_log_name(name: str) -> bool:
    """Whether a log may be called that: up to 200 characters, no space and no plus sign among them."""
    return _NAME(name) is not None


def parse_note(data: bytes) -> Note:
    """A note as it is written; `Corrupt` (`CHECKPOINT_INVALID`) for anything else."""
    if len(data) > MAX_NOTE_BYTES:
        raise _invalid("the note is too long")
    try:
        whole = data.decode()
    except UnicodeDecodeError:
        raise _invalid("the note is no text") from None
    text, blank, below = whole.rpartition("\n\n")
    if _CONTROL(whole) or not blank or not text or not below.endswith("\n"):
        raise _invalid("the note has no text, or no signature below it")
    return Note(text + "\n", tuple(_signature_of(line) for line in below[:-1].split("\n")))


def note_of(text: str, key: LogKey, signature: bytes) -> bytes:
    """A text, signed by the log."""
    line = f"{_MARK}{key.name} {b64encode(key.key_id + signature).decode()}\n"
    return f"{text}\n{line}".encode()


def _signature_of(line: str) -> NoteSignature:
    name, space, rest = line.removeprefix(_MARK).partition(" ")
    raw = _decoded(rest)
    if not line.startswith(_MARK) or not space or _NAME(name) is None or raw is None or len(raw) <= 4:  # noqa: PLR2004
        raise _invalid("a line below the note is no signature")
    return NoteSignature(name, raw[:4], raw[4:])


def _decoded(text: str) -> bytes | None:
    try:
        raw = b64decode(text, validate=True)
    except (Base64Error, ValueError):
        return None
    # Bits that are left over would give one key, or one root, several spellings.
    return raw if b64encode(raw).decode() == text else None


def _invalid(why: str) -> Corrupt:
    return Corrupt("CHECKPOINT_INVALID", f"this is no signed checkpoint: {why}")
