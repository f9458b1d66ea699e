"""What the resources service is told from outside."""

from typing import ClassVar

from services.settings import ServiceSettings, Url, address, beside


class ResourcesConfig(ServiceSettings):
    """Frozen once loaded."""

    service: ClassVar[str] = "resources"

    url: Url = address("resources")
    """Where it listens."""

    kv_url: Url = beside("resources.db")
    """Where keys are kept: `sqlite:///path`, or `memory:`."""

    queue_url: Url = beside("resources.db")
    """Where messages are kept: `sqlite:///path`, or `memory:`. One file may hold both."""

    secrets_url: Url = "env:"
    """Where secrets lie: `env:`, `env:PREFIX_` for the variables that begin so, or `dotenv:path` of a private file."""
