"""Protobuf to the registry's words and back. Pure; raises `Invalid` with the field's name and nothing else."""

from collections.abc import Iterable, Mapping

from services.registry.domain.registry import MAX_BATCH_ITEMS, MAX_ROOTS, Pinned
from theory.api.registry.v1 import registry_pb2 as pb
from theory.core import jcs
from theory.core.errors import Invalid, TheoryError
from theory.core.refs import Ref, SpecKind
from theory.core.registry import MAX_DOCUMENT_BYTES, Published, Spec, SpecDraft, SpecName
from theory.wire.batches import batch, decoded
from theory.wire.moments import timestamp
from theory.wire.status import item_ok, item_status

_OK = item_ok()
_KIND_BY_NUMBER: Mapping[int, SpecKind] = {pb.SpecKind.Value(f"SPEC_KIND_{kind.name}"): kind for kind in SpecKind}
_NUMBER_BY_KIND = {kind: pb.SpecKind.ValueType(number) for number, kind in _KIND_BY_NUMBER.items()}


def drafts_from_proto(request: pb.PublishSpecsRequest) -> list[SpecDraft | TheoryError]:
    """The drafts of a request; in place of one that is malformed, why."""
    return decoded(request.drafts, _draft_from_proto, most=MAX_BATCH_ITEMS)


def names_from_proto(request: pb.GetSpecsRequest) -> list[SpecName | TheoryError]:
    """The names of a request; in place of one that is malformed, why."""
    return decoded(request.names, _name_from_proto, most=MAX_BATCH_ITEMS)


def roots_from_proto(request: pb.CreateSnapshotRequest) -> list[SpecName]:
    """What a snapshot must hold."""
    return [_name_from_proto(each) for each in batch(request.roots, MAX_ROOTS)]


def kind_from_proto(number: int) -> SpecKind | None:
    """The kind to list; None for all of them."""
    return _kind_from_proto(number) if number else None


def published_to_proto(answers: Iterable[Published | TheoryError]) -> pb.PublishSpecsResponse:
    """One result per draft."""
    response = pb.PublishSpecsResponse()
    for answer in answers:
        if isinstance(answer, TheoryError):
            response.results.add(status=item_status(answer))
        else:
            response.results.add(status=_OK, spec=spec_to_proto(answer.spec), created=answer.created)
    return response


def specs_to_proto(answers: Iterable[Spec | TheoryError]) -> pb.GetSpecsResponse:
    """One result per name."""
    response = pb.GetSpecsResponse()
    for answer in answers:
        if isinstance(answer, TheoryError):
            response.results.add(status=item_status(answer))
        else:
            response.results.add(status=_OK, spec=spec_to_proto(answer))
    return response


def spec_to_proto(spec: Spec) -> pb.Spec:
    """A document as it was published."""
    return pb.Spec(
        name=pb.SpecName(kind=_NUMBER_BY_KIND[spec.name.kind], ref=spec.name.ref.text),
        document=spec.canonical,
        digest=spec.digest,
        create_time=timestamp(spec.create_time),
    )


def snapshot_to_proto(pinned: Pinned) -> pb.Snapshot:
    """A snapshot as it was pinned."""
    return pb.Snapshot(
        snapshot_id=pinned.snapshot_id, document=pinned.canonical, create_time=timestamp(pinned.create_time)
    )


def capabilities_to_proto(adapter: str, *, durable: bool) -> pb.GetCapabilitiesResponse:
    """What the registry is, and the limits it keeps."""
    return pb.GetCapabilitiesResponse(
        adapter=adapter, durable=durable, max_document_bytes=MAX_DOCUMENT_BYTES, max_batch_items=MAX_BATCH_ITEMS
    )


def _draft_from_proto(draft: pb.PublishSpecsRequest.Draft) -> SpecDraft:
    kind = _kind_from_proto(draft.kind)
    return SpecDraft(kind, jcs.parse_object(draft.document, max_bytes=MAX_DOCUMENT_BYTES))


def _name_from_proto(name: pb.SpecName) -> SpecName:
    return SpecName(_kind_from_proto(name.kind), Ref.parse(name.ref))


def _kind_from_proto(number: int) -> SpecKind:
    kind = _KIND_BY_NUMBER.get(number)
    if kind is None:
        raise Invalid("FIELD_INVALID", "say which kind of document it is", field="kind")
    return kind
