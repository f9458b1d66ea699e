"""What the registry is told from outside."""

from pathlib import Path
from typing import ClassVar

from services.settings import ServiceSettings, Url, address, beside


class RegistryConfig(ServiceSettings):
    """Frozen once loaded."""

    service: ClassVar[str] = "registry"

    url: Url = address("registry")
    """Where it listens."""

    database_url: Url = beside("registry.db")
    """Where documents and snapshots are kept: `sqlite:///path`, or `memory:`."""

    ledger_url: Url = address("ledger")
    """Where the ledger answers."""

    catalog: Path | None = None
    """A folder of YAML documents that are published at every start; None is the one that ships with the registry."""
