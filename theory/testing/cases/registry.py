"""What every registry promises of documents, over the wire."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise

from theory.api.registry.v1 import registry_pb2 as pb
from theory.api.registry.v1.registry_pb2_grpc import RegistryServiceStub
from theory.core import jcs
from theory.core.cid import Cid
from theory.core.errors import AlreadyExists, Invalid, NotFound
from theory.core.jcs import JSON
from theory.core.refs import Ref, SpecKind
from theory.core.registry import Published, SpecDraft
from theory.sdk.registry import RegistryClient
from theory.sdk.rpc import unwrapped
from theory.testing.case import Target, case
from theory.testing.cases.registry_documents import schema, sound
from theory.testing.refusals import refusal, refused
from theory.wire.channel import call
from theory.wire.status import item_error

Draft = pb.PublishSpecsRequest.Draft

_RACERS = 12
_PAGE = 3


# Publishing


@case()
async def a_published_document_is_read_back_as_it_was(target: Target) -> None:
    """What was published under a ref is what is read under it: bytes, digest and time (I-21)."""
    client = RegistryClient(target.channel())
    draft = schema(target.fresh("schema"))
    published = await client.publish(draft)
    assert published.created
    assert published.spec.document == draft.document
    assert published.spec.canonical == jcs.canonical(dict(draft.document))
    assert published.spec.digest == Cid.of(published.spec.canonical).text
    assert await client.get(*published.spec.name) == published.spec


@case()
async def publishing_the_same_again_changes_nothing(target: Target) -> None:
    """The same content under its ref is a success that creates nothing, however it is spelled (I-21)."""
    client, stub = RegistryClient(target.channel()), RegistryServiceStub(target.channel())
    first = await client.publish(schema(target.fresh("schema")))
    again = await client.publish(SpecDraft(SpecKind.SCHEMAS, first.spec.document))
    assert again == Published(first.spec, created=False)
    spelled = jcs.canonical(dict(reversed(first.spec.document.items()))).replace(b":", b" :\n")
    request = pb.PublishSpecsRequest(drafts=[Draft(kind=pb.SPEC_KIND_SCHEMAS, document=spelled)])
    result = (await call(stub.PublishSpecs, request)).results[0]
    assert (result.status.code, result.created, result.spec.digest) == (0, False, first.spec.digest)


@case()
async def a_ref_never_changes_its_document(target: Target) -> None:
    """Other content under a taken ref is AlreadyExists REF_TAKEN with the digest that stands, and stays (I-21)."""
    client = RegistryClient(target.channel())
    name = target.fresh("schema")
    first = await client.publish(schema(name))
    error = await refusal(client.publish(schema(name, {"type": "array"})), AlreadyExists, "REF_TAKEN")
    assert error.metadata["digest"] == first.spec.digest
    assert error.metadata["ref"] == first.spec.name.ref.text
    assert await client.get(*first.spec.name) == first.spec


@case()
async def of_racing_publishers_one_wins(target: Target) -> None:
    """Of concurrent publishers under one ref exactly one creates it, and all see the same document (I-21)."""
    client = RegistryClient(target.channel())
    name = target.fresh("schema")
    drafts = [schema(name, {"minimum": racer % 4}) for racer in range(_RACERS)]
    # One RPC each: a client would put them into one batch.
    answers = [
        each for batch in await asyncio.gather(*(client.publish_many([each]) for each in drafts)) for each in batch
    ]
    stands = await client.get(SpecKind.SCHEMAS, Ref.parse(f"{name}@1"))
    assert sum(isinstance(each, Published) and each.created for each in answers) == 1
    for draft, answer in zip(drafts, answers, strict=True):
        if jcs.canonical(dict(draft.document)) == stands.canonical:
            assert isinstance(answer, Published)
            assert answer.spec == stands
        else:
            assert refused(answer, AlreadyExists, "REF_TAKEN").metadata["digest"] == stands.digest


@case()
async def one_batch_settles_its_own_repeats(target: Target) -> None:
    """Within a batch the first document takes its ref, the same again is fine, another is refused (I-21, I-86)."""
    name = target.fresh("schema")
    drafts = [schema(name), schema(name), schema(name, {"type": "array"})]
    first, same, other = await RegistryClient(target.channel()).publish_many(drafts)
    assert isinstance(first, Published)
    assert first.created
    assert same == Published(first.spec, created=False)
    refused(other, AlreadyExists, "REF_TAKEN")


@case()
async def a_ref_is_one_name_per_kind(target: Target) -> None:
    """The same ref names one document of each kind (I-21)."""
    client = RegistryClient(target.channel())
    name = target.fresh("both")
    unwrapped(await client.publish_many([schema(name), sound(SpecKind.POLICIES, name)]))
    kinds = (SpecKind.SCHEMAS, SpecKind.POLICIES)
    found = unwrapped(await client.get_many([(kind, Ref.parse(f"{name}@1")) for kind in kinds]))
    assert [each.name.kind for each in found] == [*kinds]
    assert found[0].document != found[1].document


# Forms


@case()
async def a_document_that_breaks_its_form_is_refused_by_field(target: Target) -> None:
    """What the form of a kind refuses is Invalid SPEC_INVALID with the path of the field, and is not stored (I-22)."""
    client = RegistryClient(target.channel())
    name = target.fresh("bad")
    cases: Sequence[tuple[SpecKind, dict[str, JSON], str]] = [
        (SpecKind.TOOLS, {"runtime": {"timeout": 1}}, "runtime.timeout"),
        (SpecKind.TOOLS, {"runtime": {"timeout_s": "60"}}, "runtime.timeout_s"),
        (SpecKind.TOOLS, {"image": {}}, "image"),
        (SpecKind.TOOLS, {"image": {"oci": "example.org/a:latest"}}, "image.oci"),
        (SpecKind.TOOLS, {"outputs": {"writes": [{"prefix": "/elsewhere/"}]}}, "outputs.writes[0].prefix"),
        (SpecKind.TOOLS, {"secrets": {"required": ["not a name"]}}, "secrets.required[0]"),
        (SpecKind.TOOLS, {"predicates": {"success": [{"args": {}}]}}, "predicates.success[0].id"),
        (SpecKind.SCHEMAS, {"schema": {"type": "strnig"}}, "schema.type"),
        (SpecKind.SCHEMAS, {"schema": {"properties": {"a": {"minimum": "1"}}}}, "schema.properties.a.minimum"),
        (SpecKind.POLICIES, {"budget": {"max_usd_micro": -1}}, "budget.max_usd_micro"),
        (SpecKind.POLICIES, {"budget": {"max_usd_micro": True}}, "budget.max_usd_micro"),
        (SpecKind.POLICIES, {"retry": {"backoff_ms": [1, -1]}}, "retry.backoff_ms[1]"),
        (SpecKind.PROMPTS, {"template": "${not a name}"}, "template"),
        (SpecKind.PREDICATES, {"gates": ["sometimes"]}, "gates[0]"),
        (SpecKind.PREDICATES, {"id": "No Ref"}, "id"),
    ]
    drafts = [SpecDraft(kind, {**sound(kind, name).document, **part}) for kind, part, _ in cases]
    for (kind, part, field), answer in zip(cases, await client.publish_many(drafts), strict=True):
        error = refused(answer, Invalid, "SPEC_INVALID")
        assert error.metadata["field"] == field, f"{kind} {part!r}: {field} was expected, not {error!r}"
    for kind in SpecKind:
        await refusal(client.get(kind, Ref.parse(f"{name}@1")), NotFound, "SPEC_UNKNOWN")


@case()
async def a_schema_refers_to_nothing_outside_of_itself(target: Target) -> None:
    """A schema whose `$ref` leads to another document, or nowhere, is refused: nothing is ever fetched (I-22)."""
    name = target.fresh("schema")
    references = ["https://example.org/other", "other.json", "file:///etc/passwd", "#/$defs/missing"]
    drafts = [schema(name, {"properties": {"a": {"$ref": each}}}) for each in references]
    for answer in await RegistryClient(target.channel()).publish_many(drafts):
        assert refused(answer, Invalid, "SPEC_INVALID").metadata["field"] == "schema.properties.a.$ref"


@case()
async def what_is_no_strict_json_is_refused(target: Target) -> None:
    """A document with a key twice, NaN, a byte order mark, or no object at all is Invalid JSON_INVALID (I-22)."""
    texts = [b'{"id":"a@1","id":"a@2"}', b'{"id":NaN}', b'\xef\xbb\xbf{"id":"a@1"}', b"[]", b"", b'{"id":"\\ud800"}']
    request = pb.PublishSpecsRequest(drafts=[Draft(kind=pb.SPEC_KIND_SCHEMAS, document=each) for each in texts])
    for result in (await call(RegistryServiceStub(target.channel()).PublishSpecs, request)).results:
        refused(item_error(result.status), Invalid, "JSON_INVALID")


@case()
async def a_document_over_the_limit_is_refused(target: Target) -> None:
    """A document larger than the stated limit is Invalid, and its neighbours are published (I-89, I-86)."""
    client, stub = RegistryClient(target.channel()), RegistryServiceStub(target.channel())
    limit = (await client.capabilities()).max_document_bytes
    large = schema(target.fresh("large"), {"description": "x" * limit})
    small = schema(target.fresh("small"))
    drafts = [Draft(kind=pb.SPEC_KIND_SCHEMAS, document=jcs.canonical(dict(each.document))) for each in (large, small)]
    refusal_of_large, answer = (await call(stub.PublishSpecs, pb.PublishSpecsRequest(drafts=drafts))).results
    assert isinstance(item_error(refusal_of_large.status), Invalid)
    assert answer.created


# Batches and lists


@case()
async def a_bad_item_does_not_fail_its_neighbours(target: Target) -> None:
    """A batch answers one status per item, in order, whatever its neighbours are (I-86)."""
    client, stub = RegistryClient(target.channel()), RegistryServiceStub(target.channel())
    good = schema(target.fresh("good"))
    answers = await client.publish_many([SpecDraft(SpecKind.SCHEMAS, {}), good, SpecDraft(SpecKind.TOOLS, {"ref": 1})])
    refused(answers[0], Invalid, "SPEC_INVALID")
    assert isinstance(answers[1], Published)
    refused(answers[2], Invalid, "SPEC_INVALID")
    names = [
        pb.SpecName(kind=pb.SPEC_KIND_SCHEMAS, ref="No Ref"),
        pb.SpecName(ref="a@1"),
        pb.SpecName(kind=pb.SPEC_KIND_SCHEMAS, ref=answers[1].spec.name.ref.text),
        pb.SpecName(kind=pb.SPEC_KIND_TOOLS, ref=answers[1].spec.name.ref.text),
    ]
    malformed, unnamed, found, absent = (await call(stub.GetSpecs, pb.GetSpecsRequest(names=names))).results
    refused(item_error(malformed.status), Invalid, "REF_INVALID")
    assert refused(item_error(unnamed.status), Invalid, "FIELD_INVALID").metadata["field"] == "kind"
    assert found.spec.digest == answers[1].spec.digest
    refused(item_error(absent.status), NotFound, "SPEC_UNKNOWN")


@case()
async def a_batch_has_its_stated_size(target: Target) -> None:
    """A batch that is empty or larger than stated is Invalid BATCH_SIZE with the limit (I-89)."""
    stub = RegistryServiceStub(target.channel())
    most = (await RegistryClient(target.channel()).capabilities()).max_batch_items
    for count in (0, most + 1):
        names = [pb.SpecName(kind=pb.SPEC_KIND_TOOLS, ref=f"a@{at + 1}") for at in range(count)]
        error = await refusal(call(stub.GetSpecs, pb.GetSpecsRequest(names=names)), Invalid, "BATCH_SIZE")
        assert error.metadata["max"] == str(most)
        drafts = [Draft(kind=pb.SPEC_KIND_TOOLS, document=b"{}")] * count
        await refusal(call(stub.PublishSpecs, pb.PublishSpecsRequest(drafts=drafts)), Invalid, "BATCH_SIZE")
    await refusal(call(stub.CreateSnapshot, pb.CreateSnapshotRequest()), Invalid, "BATCH_SIZE")


@case()
async def no_reply_outgrows_a_message(target: Target) -> None:
    """Documents that do not fit one reply are published and read all the same, in several (I-89)."""
    client = RegistryClient(target.channel())
    limit = (await client.capabilities()).max_document_bytes
    name = target.fresh("heavy")
    drafts = [schema(name, {"description": "x" * (limit - 200)}, version=at + 1) for at in range(28)]
    published = unwrapped(await client.publish_many(drafts))
    found = unwrapped(await client.get_many([each.spec.name for each in published]))
    assert [each.digest for each in found] == [each.spec.digest for each in published]
    listed = [each.name async for each in client.list(SpecKind.SCHEMAS)]
    assert {each.name for each in found} <= set(listed)


@case()
async def a_list_has_every_document_once_and_in_order(target: Target) -> None:
    """Pages hold every document once, ascending by kind and ref as bytes; only the last has no token (I-88)."""
    client, stub = RegistryClient(target.channel()), RegistryServiceStub(target.channel())
    name = target.fresh("listed")
    drafts = [schema(name, version=at + 1) for at in range(12)]
    published = {
        each.spec.name for each in unwrapped(await client.publish_many([*drafts, sound(SpecKind.POLICIES, name)]))
    }
    everything = [each.name async for each in client.list()]
    assert published <= set(everything)
    assert all((a.kind.value, a.ref.text) < (b.kind.value, b.ref.text) for a, b in pairwise(everything))
    small: list[str] = []
    token = ""
    while True:
        request = pb.ListSpecsRequest(kind=pb.SPEC_KIND_SCHEMAS, page_size=_PAGE, page_token=token)
        page = await call(stub.ListSpecs, request)
        assert 0 < len(page.specs) <= _PAGE
        small += [each.name.ref for each in page.specs]
        if not (token := page.next_page_token):
            break
    assert all(a < b for a, b in pairwise(small))
    assert {each.ref.text for each in everything if each.kind is SpecKind.SCHEMAS} <= set(small)


@case()
async def a_token_fits_its_own_listing_only(target: Target) -> None:
    """A page token of another query, or of none, is Invalid PAGE_TOKEN_INVALID; a negative size is refused (I-88)."""
    client, stub = RegistryClient(target.channel()), RegistryServiceStub(target.channel())
    name = target.fresh("paged")
    unwrapped(await client.publish_many([schema(name), schema(name, version=2)]))
    token = (await call(stub.ListSpecs, pb.ListSpecsRequest(kind=pb.SPEC_KIND_SCHEMAS, page_size=1))).next_page_token
    for request in (
        pb.ListSpecsRequest(kind=pb.SPEC_KIND_TOOLS, page_token=token),
        pb.ListSpecsRequest(page_token=token),
        pb.ListSpecsRequest(kind=pb.SPEC_KIND_SCHEMAS, page_token=token[:-2]),
        pb.ListSpecsRequest(kind=pb.SPEC_KIND_SCHEMAS, page_token=token[::-1]),
    ):
        await refusal(call(stub.ListSpecs, request), Invalid, "PAGE_TOKEN_INVALID")
    await refusal(call(stub.ListSpecs, pb.ListSpecsRequest(page_size=-1)), Invalid, "PAGE_SIZE_INVALID")
