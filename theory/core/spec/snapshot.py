"""Snapshots: the documents that a plan is pinned to, named by their content."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self, TypeVar, cast

from theory.core import jcs
from theory.core.clock import parse_rfc3339, rfc3339
from theory.core.document import Fields
from theory.core.errors import Corrupt, NotFound, shown
from theory.core.jcs import JSON
from theory.core.refs import Ref, SpecKind
from theory.core.spec.policy import PolicyDoc
from theory.core.spec.processor import ProcessorSpec
from theory.core.spec.schema import SchemaSpec

V = TypeVar("V", ProcessorSpec, PolicyDoc, SchemaSpec)


@dataclass(frozen=True, slots=True)
class RegistrySnapshot:
    """The documents that a plan is pinned to, by kind and ref. Named by its content, so it never changes."""

    snapshot_id: str
    """`sha256:` and the SHA-256 of the canonical JSON of the five maps."""
    created_at: datetime
    tools: Mapping[str, Mapping[str, JSON]]
    schemas: Mapping[str, Mapping[str, JSON]]
    prompts: Mapping[str, Mapping[str, JSON]]
    policies: Mapping[str, Mapping[str, JSON]]
    predicates: Mapping[str, Mapping[str, JSON]]
    _views: dict[tuple[type, str], object] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What was parsed already: every attempt of a plan asks for the same few documents."""

    @classmethod
    def of(cls, documents: Mapping[SpecKind, Mapping[str, Mapping[str, JSON]]], created_at: datetime) -> Self:
        """The snapshot of these documents; when it was made is no part of its name."""
        maps = {kind.value: dict(documents.get(kind, {})) for kind in SpecKind}
        return cls("sha256:" + hashlib.sha256(jcs.canonical(maps)).hexdigest(), created_at, **maps)

    @classmethod
    def parse(cls, document: JSON) -> Self:
        """The snapshot that a document holds. Its name is computed anew.

        `Corrupt` (`SNAPSHOT_ID_MISMATCH`) where the content has another name; `Invalid` (`SPEC_INVALID`) with `field`
        where the document is no snapshot.
        """
        fields = Fields(document, reason="SPEC_INVALID")
        fields.only("snapshot_id", "created_at", *SpecKind)
        claimed = fields.need("snapshot_id", str)
        maps = {kind: fields.object(kind) for kind in SpecKind}
        documents = {kind: {ref: held.mapping(ref) for ref in held.document} for kind, held in maps.items()}
        snapshot = cls.of(documents, fields.needed("created_at", parse_rfc3339))
        if snapshot.snapshot_id != claimed:
            message = f"the content of this snapshot has the id {snapshot.snapshot_id}"
            raise Corrupt("SNAPSHOT_ID_MISMATCH", message, snapshot_id=shown(claimed))
        return snapshot

    def to_document(self) -> dict[str, JSON]:
        """The document that `parse` reads."""
        maps: dict[str, JSON] = {kind.value: getattr(self, kind.value) for kind in SpecKind}
        return {"snapshot_id": self.snapshot_id, "created_at": rfc3339(self.created_at), **maps}

    def get_processor(self, ref: Ref) -> ProcessorSpec:
        """The processor under `ref`; `NotFound` (`PROCESSOR_UNKNOWN`)."""
        if (document := self.tools.get(ref.text)) is None:
            raise NotFound("PROCESSOR_UNKNOWN", f"the snapshot has no processor {ref}", ref=ref.text)
        return self._view(ProcessorSpec, ref, document)

    def get_policy(self, ref: Ref) -> PolicyDoc:
        """The policy under `ref`; `NotFound` (`SPEC_UNKNOWN`)."""
        return self._view(PolicyDoc, ref, self._document(SpecKind.POLICIES, ref))

    def get_schema(self, ref: Ref) -> SchemaSpec:
        """The schema under `ref`; `NotFound` (`SPEC_UNKNOWN`)."""
        return self._view(SchemaSpec, ref, self._document(SpecKind.SCHEMAS, ref))

    def _view(self, view: type[V], ref: Ref, document: Mapping[str, JSON]) -> V:
        key = (view, ref.text)
        if key not in self._views:
            self._views[key] = view.parse(document)
        return cast("V", self._views[key])

    def _document(self, kind: SpecKind, ref: Ref) -> Mapping[str, JSON]:
        held: Mapping[str, Mapping[str, JSON]] = getattr(self, kind.value)
        if ref.text not in held:
            raise NotFound("SPEC_UNKNOWN", f"the snapshot has no {ref} among its {kind}", ref=ref.text, kind=kind.value)
        return held[ref.text]
