"""The file at the root of a mount: that it is one, of what, and which file was laid out where."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from theory.core import jcs
from theory.core.cid import Cid
from theory.core.errors import TheoryError
from theory.core.jcs import JSON

NAME = ".theory-mount"
DRAFT = f"{NAME}.draft"
"""What a kill may leave beside it."""

_MAGIC = b"theory world mount 1"
_FIELDS = 4
_MODE = 0o444


class Entry(NamedTuple):
    """A file as it was laid out."""

    inode: int
    size_bytes: int
    cid_hex: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was laid out, and by which boot of the machine: what a power cut has torn has the marks of what is whole."""

    boot: str
    origin: Mapping[str, JSON]
    """What was mounted, as whoever mounted it says."""
    complete: bool
    entries: Mapping[str, Entry] = field(default_factory=dict)
    """By path. While files are laid out, those that are there and stay."""

    @classmethod
    def read(cls, root: int) -> Self | None:
        """The manifest of a directory; None where it is no mount.

        One that is torn says that the directory is a mount, and nothing of what is in it. `OSError`.
        """
        try:
            descriptor = os.open(NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=root)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            magic, _, rest = file.read().partition(b"\n")
        if magic != _MAGIC:
            return None
        head, _, listed = rest.partition(b"\n")
        try:
            match jcs.parse(head):
                case {"boot": str(boot), "complete": bool(complete), "listed": str(cid), "origin": dict(origin)}:
                    if Cid.of(listed).text == cid:
                        return cls(boot, origin, complete, _entries(listed))
        except (TheoryError, ValueError):
            pass
        return cls("", {}, complete=False)

    def write(self, root: int) -> None:
        """Put it into a directory, at once or not at all. `OSError`."""
        lines = (f"{each.inode} {each.size_bytes} {each.cid_hex} {path}\n" for path, each in self.entries.items())
        listed = "".join(lines).encode()
        head: dict[str, JSON] = {
            "boot": self.boot,
            "complete": self.complete,
            "listed": Cid.of(listed).text,
            "origin": dict(self.origin),
        }
        data = b"%s\n%s\n%s" % (_MAGIC, jcs.canonical(head), listed)
        with suppress(FileNotFoundError):
            os.unlink(DRAFT, dir_fd=root)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(DRAFT, flags, _MODE, dir_fd=root), "wb") as file:
            file.write(data)
        os.replace(DRAFT, NAME, src_dir_fd=root, dst_dir_fd=root)


def _entries(listed: bytes) -> dict[str, Entry]:
    """`ValueError` where a line is not what was written."""
    found: dict[str, Entry] = {}
    for line in listed.decode().split("\n")[:-1]:
        inode, size_bytes, cid_hex, path = line.split(" ", _FIELDS - 1)
        found[path] = Entry(int(inode), int(size_bytes), cid_hex)
    return found
