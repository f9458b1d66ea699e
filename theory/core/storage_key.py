"""Storage keys: how an object store names a file of a world, whatever it does to names that it does not like."""

import re
from dataclasses import dataclass
from typing import Self

from blake3 import blake3

from theory.core.errors import Invalid, shown
from theory.core.world_path import WorldName, WorldPath

MAX_KEY_BYTES = 1024
MAX_PART_BYTES = 255
"""Of what stands between two slashes: many stores keep each as a folder."""
KEY_CONTEXT = "theory/v1/storage-key"

_SPELLED, _HASHED = "w/", "h/"
# A dot stays between two characters that are neither dots nor slashes. What a store or a proxy may take for a
# separator, an escape, a hidden file or another spelling of the same name is escaped; so is what is no ASCII.
_ESCAPED = re.compile(rb"[^a-z0-9_./-]|(?<![^./])\.|\.(?![^./])")
_ESCAPE = re.compile(rb"!([0-9a-f]{2})")
_HASHED_KEY = re.compile(r"h/[0-9a-f]{64}").fullmatch


@dataclass(frozen=True, slots=True, order=True)
class StorageKey:
    """The key of one (world, path), made of `a-z0-9_.!/-`; no two have the same.

    A key spells its place, `w/p-01/artifacts/a!20b.txt`, where that fits into `MAX_KEY_BYTES`, and each part into
    `MAX_PART_BYTES`. The others are hashed, `h/` and 64 hex digits, since no spelling of all of them fits: who stores
    something there stores the place with it, and `of` proves what is read back.
    """

    text: str

    @classmethod
    def of(cls, world: WorldName, path: WorldPath) -> Self:
        """The key of a path of a world."""
        place = f"{world}{path}".encode()
        spelled = _SPELLED + _ESCAPED.sub(lambda found: f"!{found[0][0]:02x}".encode(), place).decode("ascii")
        if len(spelled) <= MAX_KEY_BYTES and max(map(len, spelled.split("/"))) <= MAX_PART_BYTES:
            return cls(spelled)
        return cls(_HASHED + blake3(place, derive_key_context=KEY_CONTEXT).hexdigest())

    @classmethod
    def parse(cls, text: str) -> Self:
        """The key that `text` spells; `Invalid` (`PATH_INVALID`, rule `storage_key`) where `of` makes no such key."""
        if _HASHED_KEY(text) is None:
            _placed(text)
        return cls(text)

    @property
    def place(self) -> tuple[WorldName, WorldPath] | None:
        """The world and the path that it spells; None where it is hashed."""
        return _placed(self.text) if self.text.startswith(_SPELLED) else None

    def __str__(self) -> str:
        return self.text


def _placed(text: str) -> tuple[WorldName, WorldPath]:
    try:
        spelled = _ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode("ascii")), text.encode("ascii")).decode()
        world, slash, path = spelled.removeprefix(_SPELLED).partition("/")
        place = WorldName.parse(world), WorldPath.parse(slash + path)
    except (UnicodeError, Invalid):
        raise _invalid(text) from None
    # One key of a place: it escapes what must be escaped and nothing else, and is hashed where it is too long.
    if StorageKey.of(*place).text != text:
        raise _invalid(text)
    return place


def _invalid(text: str) -> Invalid:
    return Invalid("PATH_INVALID", "no file of a world has this storage key", rule="storage_key", value=shown(text))
