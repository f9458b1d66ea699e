"""Documents for the cases of the registry: sound ones of every kind, and a family that names each other."""

from collections.abc import Mapping
from typing import NamedTuple

from theory.core.jcs import JSON
from theory.core.refs import Ref, SpecKind
from theory.core.registry import SpecDraft, SpecName
from theory.core.spec import RegistrySnapshot
from theory.sdk.registry import RegistryClient
from theory.sdk.rpc import unwrapped


def schema(name: str, part: Mapping[str, JSON] | None = None, *, version: int = 1) -> SpecDraft:
    """A schema document of a name that nobody else has."""
    return SpecDraft(
        SpecKind.SCHEMAS, {"id": f"{name}@{version}", "schema": {"type": "object"} if part is None else part}
    )


def sound(kind: SpecKind, name: str) -> SpecDraft:
    """A document of any kind that nothing is wrong with, and that names no other."""
    document: Mapping[str, JSON] = _DOCUMENT_BY_KIND[kind]
    return SpecDraft(kind, {"ref" if kind is SpecKind.TOOLS else "id": f"{name}@1", **document})


_DOCUMENT_BY_KIND: Mapping[SpecKind, Mapping[str, JSON]] = {
    SpecKind.TOOLS: {"image": {"build": {"context": "processors/case"}}},
    SpecKind.SCHEMAS: {"schema": {"type": "object"}},
    SpecKind.PROMPTS: {"template": "Say nothing."},
    SpecKind.POLICIES: {"budget": {"max_usd_micro": 1}},
    SpecKind.PREDICATES: {
        "gates": ["success"],
        "args": {"type": "object", "properties": {}, "additionalProperties": False},
    },
}


class Family(NamedTuple):
    """A processor with two predicates, one of which is told a schema; a prompt with its variables; a policy."""

    processor: SpecName
    predicate: SpecName
    telling: SpecName
    told: SpecName
    prompt: SpecName
    variables: SpecName
    policy: SpecName

    @property
    def roots(self) -> tuple[SpecName, ...]:
        """What a plan would name."""
        return self.processor, self.prompt, self.policy


def family(name: str) -> tuple[SpecDraft, ...]:
    """The drafts of a family, in the order of its fields."""
    telling = f"json.schema_ok@{_number_in(name)}"
    told = f"{name}/told@1"
    return (
        SpecDraft(
            SpecKind.TOOLS,
            {
                "ref": f"{name}@1",
                "image": {"build": {"context": "processors/case"}},
                "predicates": {
                    "admission": [{"id": f"{name}@1", "args": {"path": "/artifacts/a", "least": 1}}],
                    "success": [
                        {"id": f"{name}@1", "args": {"path": "${outputs.path}", "least": "${outputs.least}"}},
                        {"id": telling, "args": {"path": "${outputs.path}", "schema": told}},
                    ],
                },
            },
        ),
        _predicate(f"{name}@1", "least", "integer"),
        _predicate(telling, "schema", "string"),
        SpecDraft(SpecKind.SCHEMAS, {"id": told, "schema": {"type": "object"}}),
        SpecDraft(
            SpecKind.PROMPTS,
            {"id": f"{name}@1", "template": "Of ${title}: ${title}, ${size}.", "variables": f"{name}/variables@1"},
        ),
        SpecDraft(
            SpecKind.SCHEMAS, {"id": f"{name}/variables@1", "schema": {"properties": {"title": True, "size": True}}}
        ),
        sound(SpecKind.POLICIES, name),
    )


async def published_family(client: RegistryClient, name: str) -> Family:
    """Publish a family of this name."""
    return Family(*[each.spec.name for each in unwrapped(await client.publish_many(family(name)))])


def changed(draft: SpecDraft, **fields: JSON) -> SpecDraft:
    """The draft with other fields."""
    return SpecDraft(draft.kind, {**draft.document, **fields})


def names_in(snapshot: RegistrySnapshot) -> set[SpecName]:
    """Every document of a snapshot."""
    return {SpecName(kind, Ref.parse(ref)) for kind in SpecKind for ref in getattr(snapshot, kind.value)}


def _predicate(ref: str, argument: str, kind: str) -> SpecDraft:
    properties: JSON = {"path": {"type": "string"}, argument: {"type": kind}}
    args: JSON = {
        "type": "object",
        "properties": properties,
        "required": ["path", argument],
        "additionalProperties": False,
    }
    return SpecDraft(SpecKind.PREDICATES, {"id": ref, "gates": ["admission", "success"], "args": args})


def _number_in(name: str) -> int:
    """A version that nobody else uses, as this name is nobody else's: the ref of the predicate itself is fixed."""
    return 1 + int(name.rpartition("-")[2], 16) % 100_000_000
