"""The registry's words that its callers share: names of documents, drafts, and documents as they were published."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from theory.core import jcs
from theory.core.jcs import JSON
from theory.core.refs import Ref, SpecKind

MAX_DOCUMENT_BYTES = 256 * 1024
"""The largest document, in canonical JSON."""


class SpecName(NamedTuple):
    """What names a document: the same ref may name a tool and a schema."""

    kind: SpecKind
    ref: Ref

    def __str__(self) -> str:
        return f"{self.kind}/{self.ref}"


@dataclass(frozen=True, slots=True)
class SpecDraft:
    """A document to publish. Its ref is inside of it: `ref` of a tool, `id` of every other kind."""

    kind: SpecKind
    document: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class Spec:
    """A document as it was published; for ever the same."""

    name: SpecName
    canonical: bytes
    """The document's canonical JSON."""
    digest: str
    """`b3:` and the BLAKE3 of `canonical`."""
    create_time: datetime
    """When it was published first."""

    @property
    def document(self) -> dict[str, JSON]:
        """The document itself, read anew each time."""
        return jcs.parse_object(self.canonical)


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a draft that was accepted."""

    spec: Spec
    created: bool
    """False where the same document was there before."""
