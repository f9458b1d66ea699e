"""What the rules of secrets need from where values lie, and the figures that both keep to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from theory.core.adapters import SecretReference
from theory.core.secret import Secret

MAX_NAME_CHARACTERS = 128
MAX_ITEMS = 100


class SecretReader(Protocol):
    """Values by name, as they are now. The caller has checked the names."""

    async def read(self, names: Sequence[str]) -> Mapping[str, Secret]:
        """Those of `names` that have a value. An empty value is none: it comes from a mistake, never from a provider.

        `NotReady` (`SECRET_FILE_INVALID`) or `Denied` (`FILE_NOT_PRIVATE`) where nothing can be read at all.
        """
        ...


class SecretBinder(Protocol):
    """References by name, for runtimes of the same provider. The caller has checked the names."""

    async def bind(self, names: Sequence[str]) -> Mapping[str, SecretReference]:
        """Those of `names` that exist."""
        ...


@dataclass(frozen=True)
class SecretSource:
    """A place where secrets lie, and the ways in which it gives them: one of the two at least."""

    kind: str
    """What capabilities call it: `env`, `dotenv`."""
    reader: SecretReader | None = None
    """Where values can be read. Then they have tags, too."""
    binder: SecretBinder | None = None
    """Where a runtime injects them by reference."""
