"""What the artifact store is told from outside."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr

from services.settings import ServiceSettings, Url, address, attempt_keys, beside
from theory.wire.address import on_loopback

_MIB = 1024 * 1024
_GIB = 1024 * _MIB
_DAY_S = 24 * 60 * 60


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

    attempt_keys: Path = attempt_keys()
    """The file with the public keys (a JWKS) by which tokens of attempts are known; the executor writes it."""

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

    gc_age_s: float = Field(7 * _DAY_S, ge=0)
    """How old, in seconds, a blob is that nothing refers to before it is marked for collection."""

    lease_s: float = Field(_DAY_S, ge=60)
    """How long, in seconds, a blob may be relied on by whoever put it or was told that it is there; a marked blob stays
    for as long before it is deleted."""

    gc_period_s: float = Field(_DAY_S / 4, ge=0)
    """How often, in seconds, the service collects by itself; 0 keeps it from doing so."""

    scrub_bytes_per_s: int = Field(_MIB, ge=0)
    """How many bytes a second it reads again to look for damage; 0 keeps it from doing so."""

    scrub_period_s: float = Field(30 * _DAY_S, gt=0)
    """In how many seconds it looks at every blob once, if that rate is enough for it."""
