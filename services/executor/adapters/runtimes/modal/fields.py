"""What a processor may say to this runtime: the `adapter.modal` of its spec."""

from dataclasses import dataclass
from typing import Self

from theory.core.document import Fields
from theory.core.spec import ProcessorSpec


@dataclass(frozen=True, slots=True)
class ModalFields:
    """All of them may be absent; the registry's form says what each may hold."""

    region: str | None
    """Where it runs, in Modal's words, such as `eu-west`."""
    cloud: str | None
    """Whose machines it runs on, in Modal's words, such as `aws`."""
    secret: str | None
    """The Secret that holds its secrets, where it is not the deployment's."""
    registry_secret: str | None
    """The Secret with which its image is pulled."""

    @classmethod
    def of(cls, processor: ProcessorSpec) -> Self:
        """`Invalid` (`SPEC_INVALID`) with `field`."""
        found = Fields(dict(processor.adapter), reason="SPEC_INVALID").object("modal")
        return cls(*(found.get(name, str, "") or None for name in ("region", "cloud", "secret", "registry_secret")))
