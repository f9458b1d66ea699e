"""Selectors of what is read, and entries of what may be written: an exact path, or all below a folder."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from theory.core.errors import Invalid, TheoryError, shown
from theory.core.world_path import PathPrefix, WorldPath

_BELOW = "/**"


@dataclass(frozen=True, slots=True)
class Selector:
    """An exact path, or `prefix/**`: every path below the folder, at any depth, but not the folder's own name."""

    target: WorldPath | PathPrefix

    @classmethod
    def parse(cls, text: str) -> Self:
        """The selector that `text` spells; `Invalid` (`SELECTOR_INVALID`) otherwise. There are no other wildcards."""
        try:
            if text.endswith(_BELOW):
                return cls(PathPrefix.parse(_without_wildcards(text[: -len("**")])))
            if text.endswith("/"):
                raise Invalid("SELECTOR_INVALID", "a folder alone selects nothing: add '**'", value=shown(text))
            return cls(WorldPath.parse(_without_wildcards(text)))
        except TheoryError as error:
            message = f"a selector is an exact path or a folder with '/**' behind it: {error.message}"
            raise Invalid("SELECTOR_INVALID", message, value=shown(text)) from error

    @property
    def text(self) -> str:
        """The selector as it is written."""
        return self.target.text if isinstance(self.target, WorldPath) else self.target.text + "**"

    @property
    def exact(self) -> bool:
        """Whether it selects one path."""
        return isinstance(self.target, WorldPath)

    def matches(self, path: WorldPath) -> bool:
        """Whether it selects `path`. Whole segments are compared, never parts of one."""
        return self.target == path if isinstance(self.target, WorldPath) else self.target.contains(path)

    def covers(self, other: "Selector") -> bool:
        """Whether it selects every path that `other` selects."""
        return self.target == other.target if isinstance(self.target, WorldPath) else self.target.contains(other.target)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class WriteEntry:
    """One entry of a declared write set: a folder (with `/` at its end) or one exact file."""

    target: WorldPath | PathPrefix

    @classmethod
    def parse(cls, text: str) -> Self:
        """The entry that `text` spells; `Invalid` (`PATH_INVALID`) otherwise; streams are no outputs."""
        target = PathPrefix.parse(text) if text.endswith("/") else WorldPath.parse(text)
        if target.facet != "artifacts":
            raise Invalid("PATH_INVALID", "outputs are written below /artifacts/", value=shown(text), rule="facet")
        return cls(target)

    @property
    def text(self) -> str:
        """The entry as it is written."""
        return self.target.text

    @property
    def prefix(self) -> PathPrefix | None:
        """The folder, or None where the entry is one file."""
        return self.target if isinstance(self.target, PathPrefix) else None

    def admits(self, path: WorldPath) -> bool:
        """Whether `path` may be written under this entry alone."""
        return self.target == path if isinstance(self.target, WorldPath) else self.target.contains(path)

    def narrow(self, write_prefix: PathPrefix) -> "WriteEntry | None":
        """What is left of the entry for a transition that writes below `write_prefix`; None where that is nothing.

        An exact file stays as it is. A folder becomes the smaller of the two folders.
        """
        if isinstance(self.target, WorldPath) or write_prefix.contains(self.target):
            return self
        return WriteEntry(write_prefix) if self.target.contains(write_prefix) else None

    def selector(self) -> Selector:
        """The selector of exactly the paths that it admits."""
        return Selector(self.target)

    def __str__(self) -> str:
        return self.text


def resolve_write_set(entries: Iterable[WriteEntry], write_prefix: PathPrefix | None) -> tuple[Selector, ...]:
    """The selectors of all that one transition may write: `write_set_resolved` of its context.

    `write_prefix` must lie in one of the declared folders (`Invalid`, `WRITE_PREFIX_REFUSED`); it is None only where
    the processor declares no folder, and then only the exact files are left.
    """
    declared = tuple(entries)
    if write_prefix is None:
        return tuple(entry.selector() for entry in declared if entry.prefix is None)
    if not any(entry.prefix is not None and entry.prefix.contains(write_prefix) for entry in declared):
        folders = ", ".join(entry.text for entry in declared if entry.prefix is not None) or "none"
        message = f"a write prefix lies below one of the folders that the processor declares: {folders}"
        raise Invalid("WRITE_PREFIX_REFUSED", message, field="write_prefix", write_prefix=write_prefix.text)
    narrowed = (entry.narrow(write_prefix) for entry in declared)
    # Two declared folders may both contain the prefix; the selector is needed once.
    return tuple(dict.fromkeys(entry.selector() for entry in narrowed if entry is not None))


def _without_wildcards(text: str) -> str:
    if "*" in text:
        raise Invalid("SELECTOR_INVALID", "the one wildcard is '/**' at the end", value=shown(text))
    return text
