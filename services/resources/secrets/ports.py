"""What the rules of secrets need from where values lie, and the figures that both keep to."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from theory.core.secret import Secret

MAX_NAME_CHARACTERS = 128
MAX_ITEMS = 100


class SecretSource(Protocol):
    """Values by name, as they are now. The caller has checked the names."""

    kind: str
    """What capabilities call it: `env`, `dotenv`."""

    async def read(self, names: Sequence[str]) -> Mapping[str, Secret]:
        """Those of `names` that have a value. An empty value is none: it comes from a mistake, never from a provider.

        `NotReady` (`SECRET_FILE_INVALID`) or `Denied` (`FILE_NOT_PRIVATE`) where nothing can be read at all.
        """
        ...
