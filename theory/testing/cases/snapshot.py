"""What every registry promises of snapshots, over the wire."""

import asyncio
from collections.abc import Mapping, Sequence

from theory.api.registry.v1 import registry_pb2 as pb
from theory.api.registry.v1.registry_pb2_grpc import RegistryServiceStub
from theory.core import jcs
from theory.core.errors import Invalid, NotFound
from theory.core.jcs import JSON
from theory.core.refs import Ref, SpecKind
from theory.core.registry import SpecDraft, SpecName
from theory.core.spec import RegistrySnapshot
from theory.sdk.registry import RegistryClient
from theory.sdk.rpc import unwrapped
from theory.testing.case import Target, case
from theory.testing.cases.registry_documents import (
    changed,
    family,
    names_in,
    published_family,
    schema,
    sound,
)
from theory.testing.refusals import refusal
from theory.wire.channel import call

_CALLERS = 8


@case()
async def a_snapshot_is_closed(target: Target) -> None:
    """A snapshot holds all that its roots name, what that names, and nothing else (I-24)."""
    client = RegistryClient(target.channel())
    published = await published_family(client, target.fresh("family"))
    snapshot = await client.create_snapshot(published.roots)
    assert names_in(snapshot) == set(published)
    assert names_in(await client.create_snapshot([published.policy])) == {published.policy}
    assert snapshot.get_processor(published.processor.ref).ref == published.processor.ref
    assert snapshot.get_policy(published.policy.ref).id == published.policy.ref
    assert snapshot.get_schema(published.told.ref).id == published.told.ref


@case()
async def an_unknown_root_is_named(target: Target) -> None:
    """A root that was never published is NotFound SPEC_UNKNOWN with its ref and kind (I-24)."""
    client = RegistryClient(target.channel())
    ref = Ref.parse(f"{target.fresh('nobody')}@1")
    error = await refusal(client.create_snapshot([(SpecKind.POLICIES, ref)]), NotFound, "SPEC_UNKNOWN")
    assert error.metadata == {"ref": ref.text, "kind": "policies"}


@case()
async def an_unknown_reference_is_named_with_its_referrer(target: Target) -> None:
    """What a document names and nobody published is NotFound SPEC_UNKNOWN with ref and referrer (I-24)."""
    client = RegistryClient(target.channel())
    for missing, kind, referrer in (
        ("predicate", "predicates", "processor"),
        ("told", "schemas", "processor"),
        ("variables", "schemas", "prompt"),
    ):
        name = target.fresh("family")
        drafts = dict(zip(_FIELDS, family(name), strict=True))
        absent = drafts.pop(missing)
        unwrapped(await client.publish_many(list(drafts.values())))
        roots = [(SpecKind.TOOLS, Ref.parse(f"{name}@1")), (SpecKind.PROMPTS, Ref.parse(f"{name}@1"))]
        error = await refusal(client.create_snapshot(roots), NotFound, "SPEC_UNKNOWN")
        assert error.metadata == {"ref": absent.document["id"], "kind": kind, "referrer": f"{name}@1"}, referrer
        await client.publish(absent)
        assert len(names_in(await client.create_snapshot(roots))) == len(_FIELDS) - 1


@case()
async def a_document_must_fit_what_it_names(target: Target) -> None:
    """A document that does not fit what it names is Invalid SPEC_INVALID with ref and field (I-22, I-24).

    Such as arguments that a predicate's schema refuses, a predicate at the wrong gate, or placeholders of a prompt that
    are not its variables.
    """
    client = RegistryClient(target.channel())
    published = await published_family(client, target.fresh("family"))
    gated = sound(SpecKind.PREDICATES, target.fresh("gated"))
    await client.publish(gated)
    unfit: Sequence[tuple[SpecDraft, str]] = [
        (
            _gated(target, "success", published.predicate, {"path": "/artifacts/a", "least": "1"}),
            "success[0].args.least",
        ),
        (_gated(target, "success", published.predicate, {"path": "/artifacts/a"}), "success[0].args.least"),
        (_gated(target, "admission", published.predicate, {"path": 1, "least": 1}), "admission[0].args.path"),
        (
            _gated(target, "success", published.predicate, {"path": "a", "least": 1, "most": 2}),
            "success[0].args.most",
        ),
        (
            _gated(target, "admission", SpecName(gated.kind, Ref.parse(str(gated.document["id"]))), {}),
            "admission[0].id",
        ),
    ]
    for draft, field in unfit:
        spec = (await client.publish(draft)).spec
        error = await refusal(client.create_snapshot([spec.name]), Invalid, "SPEC_INVALID")
        assert error.metadata == {"ref": spec.name.ref.text, "field": f"predicates.{field}"}, field
    for template, field in (("Of ${title}.", "variables"), ("Of ${title}, ${size}, ${weight}.", "template")):
        prompt = changed(family(target.fresh("prompt"))[4], template=template, variables=published.variables.ref.text)
        spec = (await client.publish(prompt)).spec
        error = await refusal(client.create_snapshot([spec.name]), Invalid, "SPEC_INVALID")
        assert error.metadata == {"ref": spec.name.ref.text, "field": field}


@case()
async def a_snapshot_is_named_by_its_content(target: Target) -> None:
    """The same documents are the same snapshot, whoever asks, in whatever order; the id can be recomputed (I-25)."""
    client, stub = RegistryClient(target.channel()), RegistryServiceStub(target.channel())
    published = await published_family(client, target.fresh("family"))
    asked = [published.roots, published.roots[::-1], tuple(published), (*published.roots, *published.roots)]
    pinned = await asyncio.gather(*(client.create_snapshot(asked[at % len(asked)]) for at in range(_CALLERS)))
    first = pinned[0]
    assert all(each == first for each in pinned)
    documents = {
        kind: {
            spec.name.ref.text: spec.document
            for spec in unwrapped(await client.get_many(published))
            if spec.name.kind is kind
        }
        for kind in SpecKind
    }
    assert RegistrySnapshot.of(documents, first.created_at) == first
    stored = (await call(stub.GetSnapshot, pb.GetSnapshotRequest(snapshot_id=first.snapshot_id))).snapshot
    assert stored.document == jcs.canonical(first.to_document())


@case()
async def other_content_is_another_snapshot(target: Target) -> None:
    """One more document, or another version of one, is another snapshot (I-25)."""
    client = RegistryClient(target.channel())
    name = target.fresh("schema")
    one, two = [
        each.spec.name for each in unwrapped(await client.publish_many([schema(name), schema(name, version=2)]))
    ]
    ids = [(await client.create_snapshot(roots)).snapshot_id for roots in ([one], [two], [one, two])]
    assert len(set(ids)) == len(ids)


@case()
async def a_snapshot_answers_for_ever_the_same(target: Target) -> None:
    """Whatever is published and pinned later, a snapshot stays what it was, its time included (I-27)."""
    client = RegistryClient(target.channel())
    published = await published_family(client, target.fresh("family"))
    first = await client.create_snapshot(published.roots)
    newer = changed(family(published.policy.ref.name)[-1], id=f"{published.policy.ref.name}@2")
    later = (await client.publish(newer)).spec.name
    await client.create_snapshot([*published.roots, later])
    assert await client.snapshot(first.snapshot_id) == first
    assert await client.create_snapshot(published.roots) == first


@case()
async def an_unknown_snapshot_is_not_found(target: Target) -> None:
    """An id that nobody was given, well-formed or not, is NotFound SNAPSHOT_UNKNOWN (I-26)."""
    stub = RegistryServiceStub(target.channel())
    for snapshot_id in ("sha256:" + "0" * 64, "sha256:", "", "' OR 1=1 --", "x" * 10_000):
        request = pb.GetSnapshotRequest(snapshot_id=snapshot_id)
        await refusal(call(stub.GetSnapshot, request), NotFound, "SNAPSHOT_UNKNOWN")


@case()
async def a_snapshot_fits_a_message(target: Target) -> None:
    """Documents that weigh more than a snapshot may are refused together, and pinned in parts (I-89)."""
    client = RegistryClient(target.channel())
    limit = (await client.capabilities()).max_document_bytes
    name = target.fresh("heavy")
    drafts = [schema(name, {"description": "x" * (limit - 200)}, version=at + 1) for at in range(25)]
    names = [each.spec.name for each in unwrapped(await client.publish_many(drafts))]
    error = await refusal(client.create_snapshot(names), Invalid, "SNAPSHOT_TOO_LARGE")
    most = int(error.metadata["max_bytes"])
    fitting = names[: most // limit - 1]
    assert names_in(await client.create_snapshot(fitting)) == set(fitting)


_FIELDS = ("processor", "predicate", "telling", "told", "prompt", "variables", "policy")


def _gated(target: Target, gate: str, predicate: SpecName, args: Mapping[str, JSON]) -> SpecDraft:
    """A processor with one predicate."""
    gates: JSON = {gate: [{"id": predicate.ref.text, "args": args}]}
    return changed(sound(SpecKind.TOOLS, target.fresh("unfit")), predicates=gates)
