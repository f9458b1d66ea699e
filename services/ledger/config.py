"""What the ledger is told from outside."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, SecretStr

from services.settings import ServiceSettings, Url, address, beside
from theory.core.checkpoint import is_log_name


def _log_name(name: str) -> str:
    if name and not is_log_name(name):
        raise ValueError("the name of a log has no spaces and no plus sign")
    return name


class LedgerConfig(ServiceSettings):
    """Frozen once loaded."""

    service: ClassVar[str] = "ledger"

    url: Url = address("ledger")
    """Where it listens."""

    database_url: Url = beside("ledger.db")
    """Where the books are kept: `sqlite:///path`, `postgresql://user@host/database`, or `memory:`."""

    database_secret: SecretStr | None = None
    """The password of that database."""

    log_name: Annotated[str, AfterValidator(_log_name)] = ""
    """What checkpoints call this log, such as `theory.example.org/ledger`; empty makes a name of the key."""
