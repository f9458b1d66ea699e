"""What the artifact store is told from outside."""

from typing import ClassVar

from pydantic import Field, SecretStr

from services.settings import ServiceSettings, Url, address, beside
from theory.wire.address import on_loopback

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

    data_url: Url = Field(
        default_factory=lambda known: "http://127.0.0.1:0" if on_loopback(known.get("url", "unix:")) else "off",
    )
    """Where the HTTP data plane listens: `http://host:port`, 0 for any free port; loopback alone, unless
    `data_public_url` is an `https` URL. `store` has clients read and write in the store of the blobs itself, if that is
    a bucket: it must be reachable for them. `off` for neither."""

    data_public_url: Url | None = None
    """What clients write in place of `data_url`: the name of a proxy in front of it. With `store` the endpoint of the
    store as clients know it, if that is another one than in `blobs_url`."""

    data_idle_s: float = Field(30, gt=0)
    """How long, in seconds, a client of the data plane may send nothing; on the average 64 KiB/s are the least."""

    doubt_s: float = Field(900, gt=0)
    """The age, in seconds, at which a reservation is in doubt and the ledger is asked about it."""
