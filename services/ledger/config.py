"""What the ledger is told from outside."""

from typing import ClassVar

from services.settings import ServiceSettings, Url, address, beside


class LedgerConfig(ServiceSettings):
    """Frozen once loaded."""

    service: ClassVar[str] = "ledger"

    url: Url = address("ledger")
    """Where it listens."""

    database_url: Url = beside("ledger.db")
    """Where the books are kept: `sqlite:///path`, or `memory:`."""
