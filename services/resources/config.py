"""What the resources service is told from outside."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr

from services.settings import ServiceSettings, Url, address, attempt_keys, beside


class ResourcesConfig(ServiceSettings):
    """Frozen once loaded."""

    service: ClassVar[str] = "resources"

    url: Url = address("resources")
    """Where it listens."""

    ledger_url: Url = address("ledger")
    """Where the ledger answers, which takes the events of scratch."""

    attempt_keys: Path = attempt_keys()
    """The file with the public keys (a JWKS) by which tokens of attempts are known; the executor writes it."""

    kv_url: Url = beside("resources.db")
    """Where keys are kept: `sqlite:///path`, `postgresql://user@host/database`, `redis://host`,
    `redis+unix:///path/to/socket`, `modal://environment`, or `memory:`."""

    kv_secret: SecretStr | None = None
    """The password or token for that address."""

    queue_url: Url = beside("resources.db")
    """Where messages are kept: as keys, or `redis-streams://host`, or `sqs://region`. One database may hold both."""

    queue_secret: SecretStr | None = None
    """The password or token for that address."""

    volumes_url: Url = beside("volumes", scheme="file")
    """Where volumes lie: `file:///directory`, or `modal://environment`."""

    volumes_secret: SecretStr | None = None
    """The token for that address."""

    secrets_url: Url = "env:"
    """Where secrets lie: `env:`, `env:PREFIX_` for the variables that begin so, `dotenv:path` of a private file,
    `aws-secrets://region`, or `modal://environment`."""

    secrets_secret: SecretStr | None = None
    """The token for that address."""

    max_plan_keys: int = Field(100_000, ge=1)
    """How many keys one plan may keep."""

    max_plan_key_bytes: int = Field(256 << 20, ge=1)
    """How much the keys and values of one plan may weigh, in bytes."""

    max_plan_topics: int = Field(1_000, ge=1)
    """How many topics one plan may have."""

    max_plan_messages: int = Field(1_000_000, ge=1)
    """How many messages one plan may keep, dead letters included."""

    max_plan_message_bytes: int = Field(1 << 30, ge=1)
    """How much the bodies of one plan may weigh, in bytes, dead letters included."""
