"""What the artifact store is told from outside."""

from typing import ClassVar

from pydantic import Field, SecretStr

from services.settings import ServiceSettings, Url, address, beside

_GIB = 1024 * 1024 * 1024


class ArtifactsConfig(ServiceSettings):
    """Frozen once loaded."""

    service: ClassVar[str] = "artifacts"

    url: Url = address("artifacts")
    """Where it listens."""

    blobs_url: Url = Field(default_factory=lambda known: (known["home"] / "artifacts" / "blobs").as_uri())
    """Where bytes are kept: `file:///directory`, `s3://bucket/prefix?endpoint=URL&region=NAME`, or `memory:`."""

    database_url: Url = beside("artifacts.db")
    """Where paths are kept: `sqlite:///path`, or `memory:`."""

    streams_url: Url = beside("streams.db")
    """Where streams are kept: `sqlite:///path`, `postgresql://user@host/database`, or `memory:`."""

    streams_secret: SecretStr | None = None
    """The password for that address."""

    ledger_url: Url = address("ledger")
    """Where the ledger answers."""

    max_blob_bytes: int = Field(16 * _GIB, ge=1024 * 1024)
    """The largest blob."""

    doubt_s: float = Field(900, gt=0)
    """The age, in seconds, at which a reservation is in doubt and the ledger is asked about it."""
