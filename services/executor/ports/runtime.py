"""The port to a place where processors run: the mission's RuntimeAdapter, and what the executor needs beside it."""

from dataclasses import dataclass
from typing import Protocol

from theory.core.adapters import RuntimeAdapter
from theory.core.context import ExpandedContext, ProcessorResult


@dataclass(frozen=True, slots=True)
class Isolation:
    """What separates processors from the machine that they run on, as it was found and not as it was meant."""

    kind: str
    """`namespaces`, `gvisor`, or `none`."""
    missing: tuple[str, ...] = ()
    """The names of what that kind promises and what does not hold here, in order."""

    @property
    def text(self) -> str:
        """As fingerprints have it: the kind alone where nothing is missing."""
        return " ".join([self.kind, "without", *self.missing]) if self.missing else self.kind


class Runtime(RuntimeAdapter, Protocol):
    """A runtime adapter as the executor holds it."""

    isolation: str
    """What is to separate its processors from this machine: `namespaces`, `gvisor`, or `none`."""

    needs_directory: bool
    """Whether something runs in the places of its attempts; where nothing does, they stay in memory."""

    binds_secrets: bool
    """Whether it gives processors their secrets by reference: then no value of one comes to this executor."""

    volume_kinds: frozenset[str]
    """The stores of volumes whose volumes it can mount: `directory`. What runs nothing needs none."""

    async def invoke(
        self, processor_ref: str, context: ExpandedContext, *, image_digest: str | None = None
    ) -> ProcessorResult:
        """As the adapter says; and what runs is exactly the image that was resolved to `image_digest`."""
        ...

    async def proved(self) -> Isolation:
        """What does separate them; looked at once per engine, and again when that was away. Stands in fingerprints.

        `NotReady` (`ENGINE_DOWN`; `ISOLATION_MISSING` where the engine cannot separate them at all).
        """
        ...

    async def release(self, name: str) -> None:
        """Remove what the attempt `name` left here (a container, a process record). Idempotent; nothing may be left."""
        ...

    async def close(self) -> None:
        """Give connections and threads back; attempts under way go on."""
        ...
