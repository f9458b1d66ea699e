"""The fingerprint of an attempt's environment: what a result may depend on beside its inputs."""

from dataclasses import dataclass
from decimal import Decimal

from blake3 import blake3

from theory.core import jcs
from theory.core.jcs import JSON
from theory.core.spec import Gpu

FINGERPRINT_CONTEXT = "theory/v1/env"
FINGERPRINT_VERSION = 1
"""Grows when a field is added or gets another meaning: fingerprints of two versions are never equal."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Where an attempt runs, as far as it may show in what it writes. Names of secrets only, never a value."""

    image_digest: str
    runtime: str
    """The runtime adapter, such as `local`."""
    isolation: str
    """What separates the processor from its machine: `namespaces`, `none`, ..."""
    cpu_milli: int
    memory_mb: int
    timeout_s: int
    gpu: Gpu | None = None
    region: str | None = None
    py_ver: str | None = None
    """The interpreter's version, where the adapter runs one itself or the image tells."""
    present_env_keys: tuple[str, ...] = ()
    """The names of what the environment holds beyond the image's own; the order given does not matter."""

    def document(self) -> dict[str, JSON]:
        """What the digest is made from; the keys are the same whatever is unknown."""
        return {
            "version": FINGERPRINT_VERSION,
            "image_digest": self.image_digest,
            "gpu": None if self.gpu is None else self.gpu.to_document(),
            "cpu": _decimal(self.cpu_milli, 1000),
            "memory_gb": _decimal(self.memory_mb, 1024),
            "timeout_s": self.timeout_s,
            "region": self.region,
            "present_env_keys": sorted(set(self.present_env_keys)),
            "py_ver": self.py_ver,
            "runtime": self.runtime,
            "isolation": self.isolation,
        }

    def preimage(self) -> bytes:
        """The canonical JSON of the document: what a verifier needs to compute the digest."""
        return jcs.canonical(self.document(), floats=False)

    def digest(self) -> str:
        """`env_fingerprint`: `b3:` and the BLAKE3 of the preimage in the fingerprints' own context."""
        return fingerprint_digest_of(self.preimage())


def fingerprint_digest_of(preimage: bytes) -> str:
    """The digest of a fingerprint that is at hand as bytes only."""
    return "b3:" + blake3(preimage, derive_key_context=FINGERPRINT_CONTEXT).hexdigest()


def _decimal(number: int, unit: int) -> str:
    # Text, so that no language rounds it; the units are powers of two and ten, so the division is exact.
    return f"{(Decimal(number) / unit).normalize():f}"
