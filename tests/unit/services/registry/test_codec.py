"""What the wire may carry, and what is refused before any rule sees it."""

from datetime import UTC, datetime

import pytest

from services.registry import codec
from services.registry.domain.registry import MAX_BATCH_ITEMS, MAX_ROOTS, Pinned
from theory.api.registry.v1 import registry_pb2 as pb
from theory.core.errors import Invalid, NotFound, TheoryError
from theory.core.refs import Ref, SpecKind
from theory.core.registry import MAX_DOCUMENT_BYTES, Published, Spec, SpecDraft, SpecName

TIME = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
SPEC = Spec(SpecName(SpecKind.PROMPTS, Ref("a/b@3")), b"{}", "b3:" + "0" * 64, TIME)


@pytest.mark.parametrize("kind", SpecKind)
def test_a_kind_has_the_same_name_on_both_sides(kind: SpecKind) -> None:
    number = pb.SpecKind.Value(f"SPEC_KIND_{kind.name}")
    assert codec.kind_from_proto(number) is kind
    assert codec.spec_to_proto(Spec(SpecName(kind, Ref("a@1")), b"", "", TIME)).name.kind == number


def test_no_kind_lists_every_kind() -> None:
    assert codec.kind_from_proto(0) is None


@pytest.mark.parametrize("number", [6, -1, 99])
def test_a_kind_that_does_not_exist_is_refused(number: int) -> None:
    with pytest.raises(Invalid) as caught:
        codec.kind_from_proto(number)
    assert caught.value.metadata == {"field": "kind"}


def test_a_draft_is_read_strictly_and_a_malformed_one_says_why() -> None:
    drafts = [
        pb.PublishSpecsRequest.Draft(kind=pb.SPEC_KIND_TOOLS, document=b' {"ref" : "a@1"}\n'),
        pb.PublishSpecsRequest.Draft(document=b"{}"),
        pb.PublishSpecsRequest.Draft(kind=pb.SPEC_KIND_TOOLS, document=b'{"a":1,"a":2}'),
        pb.PublishSpecsRequest.Draft(kind=pb.SPEC_KIND_TOOLS, document=b"[]"),
        pb.PublishSpecsRequest.Draft(kind=pb.SPEC_KIND_TOOLS, document=b" " * (MAX_DOCUMENT_BYTES + 1)),
    ]
    read = codec.drafts_from_proto(pb.PublishSpecsRequest(drafts=drafts))
    assert read[0] == SpecDraft(SpecKind.TOOLS, {"ref": "a@1"})
    assert _reasons(read[1:]) == ["FIELD_INVALID", "JSON_INVALID", "JSON_INVALID", "JSON_INVALID"]


def test_a_name_is_checked_by_itself() -> None:
    names = [pb.SpecName(kind=pb.SPEC_KIND_TOOLS, ref=ref) for ref in ("a@1", "a", "")]
    read = codec.names_from_proto(pb.GetSpecsRequest(names=[*names, pb.SpecName(ref="a@1")]))
    assert read[0] == SpecName(SpecKind.TOOLS, Ref("a@1"))
    assert _reasons(read[1:]) == ["REF_INVALID", "REF_INVALID", "FIELD_INVALID"]


def test_one_malformed_root_refuses_the_whole() -> None:
    roots = [pb.SpecName(kind=pb.SPEC_KIND_TOOLS, ref="a@1"), pb.SpecName(kind=pb.SPEC_KIND_TOOLS, ref="a")]
    with pytest.raises(Invalid) as caught:
        codec.roots_from_proto(pb.CreateSnapshotRequest(roots=roots))
    assert caught.value.reason == "REF_INVALID"


@pytest.mark.parametrize("count", [0, MAX_BATCH_ITEMS + 1])
def test_a_batch_has_one_to_a_hundred_items(count: int) -> None:
    with pytest.raises(Invalid) as caught:
        codec.names_from_proto(pb.GetSpecsRequest(names=[pb.SpecName()] * count))
    assert (caught.value.reason, caught.value.metadata) == ("BATCH_SIZE", {"max": "100"})
    with pytest.raises(Invalid):
        codec.drafts_from_proto(pb.PublishSpecsRequest(drafts=[pb.PublishSpecsRequest.Draft()] * count))


@pytest.mark.parametrize("count", [0, MAX_ROOTS + 1])
def test_a_snapshot_has_one_to_a_thousand_roots(count: int) -> None:
    with pytest.raises(Invalid) as caught:
        codec.roots_from_proto(pb.CreateSnapshotRequest(roots=[pb.SpecName()] * count))
    assert caught.value.metadata == {"max": "1000"}


def test_a_document_is_sent_as_it_is_kept() -> None:
    message = codec.spec_to_proto(SPEC)
    assert (message.document, message.digest, message.name.ref) == (SPEC.canonical, SPEC.digest, "a/b@3")
    assert message.create_time.ToDatetime(UTC) == TIME


def test_answers_keep_their_order_and_errors_their_reasons() -> None:
    missing = NotFound("SPEC_UNKNOWN", "there is none", ref="a@1")
    found = codec.specs_to_proto([missing, SPEC]).results
    assert [each.status.reason for each in found] == ["SPEC_UNKNOWN", ""]
    published = codec.published_to_proto([Published(SPEC, created=True), missing, Published(SPEC, created=False)])
    assert [each.created for each in published.results] == [True, False, False]
    assert [each.HasField("spec") for each in published.results] == [True, False, True]


def test_a_snapshot_is_sent_as_it_is_kept() -> None:
    message = codec.snapshot_to_proto(Pinned("sha256:0", b"{}", TIME))
    assert (message.snapshot_id, message.document) == ("sha256:0", b"{}")
    assert message.create_time.ToDatetime(UTC) == TIME


def test_the_limits_are_stated() -> None:
    stated = codec.capabilities_to_proto("sql", durable=True)
    assert (stated.adapter, stated.durable) == ("sql", True)
    assert (stated.max_document_bytes, stated.max_batch_items) == (MAX_DOCUMENT_BYTES, MAX_BATCH_ITEMS)


def _reasons(answers: list[SpecDraft | TheoryError] | list[SpecName | TheoryError]) -> list[str]:
    return [each.reason if isinstance(each, TheoryError) else "" for each in answers]
