"""Scripts that run inside the server: each one step, whoever else writes."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Self


class Script:
    """A Lua program, known to the server by the hash of its text."""

    def __init__(self, source: str) -> None:
        self.source = source.encode()
        # The server's own name for it, not a safeguard.
        self.sha = hashlib.sha1(self.source, usedforsecurity=False).hexdigest().encode()

    @classmethod
    def of(cls, *parts: Path) -> Self:
        """The files one after the other: what a later one uses, an earlier one defines."""
        return cls("\n".join(each.read_text("utf-8") for each in parts))

    def run(self, keys: Iterable[str], arguments: Iterable[bytes | str | int]) -> list[bytes | str | int]:
        """The command that runs it."""
        named = list(keys)
        return ["EVALSHA", self.sha, len(named), *named, *arguments]

    def load(self) -> list[bytes | str | int]:
        """The command that makes the server know it."""
        return ["SCRIPT", "LOAD", self.source]
