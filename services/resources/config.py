"""What the resources service is told from outside."""

from typing import ClassVar

from pydantic import Field, SecretStr

from services.resources.kv.ports import KVQuotas
from services.resources.queue.ports import QueueQuotas
from services.settings import ServiceSettings, Url, address, beside


class ResourcesConfig(ServiceSettings):
    """Frozen once loaded."""

    service: ClassVar[str] = "resources"

    url: Url = address("resources")
    """Where it listens."""

    ledger_url: Url = address("ledger")
    """Where the ledger answers, which takes the events of scratch."""

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

    max_plan_keys: int = Field(KVQuotas().keys, ge=1)
    """How many keys one plan may keep."""

    max_plan_key_bytes: int = Field(KVQuotas().size_bytes, ge=1)
    """How much the keys and values of one plan may weigh, in bytes."""

    max_plan_topics: int = Field(QueueQuotas().topics, ge=1)
    """How many topics one plan may have."""

    max_plan_messages: int = Field(QueueQuotas().messages, ge=1)
    """How many messages one plan may keep, dead letters included."""

    max_plan_message_bytes: int = Field(QueueQuotas().size_bytes, ge=1)
    """How much the bodies of one plan may weigh, in bytes, dead letters included."""

    @property
    def kv_quotas(self) -> KVQuotas:
        """What one plan may keep of keys."""
        return KVQuotas(self.max_plan_keys, self.max_plan_key_bytes)

    @property
    def queue_quotas(self) -> QueueQuotas:
        """What one plan may keep of messages."""
        return QueueQuotas(self.max_plan_topics, self.max_plan_messages, self.max_plan_message_bytes)
