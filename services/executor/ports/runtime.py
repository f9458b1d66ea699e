"""The port to a place where processors run: the mission's RuntimeAdapter, and what the executor needs beside it."""

from typing import Protocol

from theory.core.adapters import RuntimeAdapter
from theory.core.context import ExpandedContext, ProcessorResult


class Runtime(RuntimeAdapter, Protocol):
    """A runtime adapter as the executor holds it."""

    isolation: str
    """What separates its processors from this machine: `namespaces`, or `none`. Stands in every fingerprint."""

    needs_directory: bool
    """Whether something runs in the places of its attempts; where nothing does, they stay in memory."""

    volume_kinds: frozenset[str]
    """The stores of volumes whose volumes it can mount: `directory`. What runs nothing needs none."""

    async def invoke(
        self, processor_ref: str, context: ExpandedContext, *, image_digest: str | None = None
    ) -> ProcessorResult:
        """As the adapter says; and what runs is exactly the image that was resolved to `image_digest`."""
        ...

    async def release(self, name: str) -> None:
        """Remove what the attempt `name` left here (a container, a process record). Idempotent; nothing may be left."""
        ...

    async def close(self) -> None:
        """Give connections and threads back; attempts under way go on."""
        ...
