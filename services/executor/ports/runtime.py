"""The port to a place where processors run: the mission's RuntimeAdapter, and what the executor needs beside it."""

from typing import Protocol

from theory.core.adapters import RuntimeAdapter


class Runtime(RuntimeAdapter, Protocol):
    """A runtime adapter as the executor holds it."""

    isolation: str
    """What separates its processors from this machine: `namespaces`, or `none`. Stands in every fingerprint."""

    async def release(self, name: str) -> None:
        """Remove what the attempt `name` left here (a container, a process record). Idempotent; nothing may be left."""
        ...

    async def close(self) -> None:
        """Give connections and threads back; attempts under way go on."""
        ...
