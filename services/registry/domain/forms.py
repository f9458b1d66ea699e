"""What a document must be before it is published: the form of its kind, and what no form can say."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from services.registry.domain.schemas import Form, fault_in_schema
from theory.core import jcs
from theory.core.cid import Cid
from theory.core.document import Fields
from theory.core.errors import Invalid
from theory.core.jcs import JSON
from theory.core.refs import Ref, SpecKind
from theory.core.registry import MAX_DOCUMENT_BYTES, SpecDraft, SpecName
from theory.core.spec import PolicyDoc, ProcessorSpec, SchemaSpec

_REASON = "SPEC_INVALID"


class Judged(NamedTuple):
    """A document that may be published."""

    name: SpecName
    canonical: bytes
    digest: str


class Forms:
    """The forms of the five kinds: JSON Schemas that ship with the registry."""

    def __init__(self, schemas: Mapping[SpecKind, Mapping[str, JSON]]) -> None:
        self._form_by_kind = {kind: Form(schemas[kind]) for kind in SpecKind}

    def judge(self, draft: SpecDraft) -> Judged:
        """The document in canonical form, under the ref that stands in it.

        `Invalid` (`SPEC_INVALID`) with `field`: it breaks the form of its kind, a part of it is not written as such
        parts are, or it is over `MAX_DOCUMENT_BYTES`. `Invalid` (`JSON_INVALID`) for what has no canonical text.
        """
        canonical = jcs.canonical(dict(draft.document))
        if len(canonical) > MAX_DOCUMENT_BYTES:
            raise Invalid(_REASON, f"a document has at most {MAX_DOCUMENT_BYTES} bytes", field="$")
        # What is judged is what will be read: 60.0 is 60 from now on.
        document = jcs.parse_object(canonical)
        if fault := self._form_by_kind[draft.kind].fault_in(document):
            raise Invalid(_REASON, fault.sentence, field=fault.field or "$")
        ref = _REF_BY_KIND[draft.kind](document)
        return Judged(SpecName(draft.kind, ref), canonical, Cid.of(canonical).text)


def _processor(document: JSON) -> Ref:
    return ProcessorSpec.parse(document).ref


def _policy(document: JSON) -> Ref:
    return PolicyDoc.parse(document).id


def _schema(document: JSON) -> Ref:
    spec = SchemaSpec.parse(document)
    if fault := fault_in_schema(spec.schema):
        raise Invalid(_REASON, f"no sound schema: {fault.sentence}", field=_below("schema", fault.field))
    return spec.id


def _prompt(document: JSON) -> Ref:
    fields = Fields(document, reason=_REASON)
    variables = fields.parsed("variables", Ref.parse, None)
    if fields.checked("template", placeholders, fields.need("template", str)) and variables is None:
        raise fields.refusal("the template has placeholders: name the schema of what fills them", "variables")
    return fields.needed("id", Ref.parse)


def _predicate(document: JSON) -> Ref:
    fields = Fields(document, reason=_REASON)
    if fault := fault_in_schema(fields.mapping("args")):
        raise Invalid(_REASON, f"no sound schema: {fault.sentence}", field=_below("args", fault.field))
    return fields.needed("id", Ref.parse)


_REF_BY_KIND: Mapping[SpecKind, Callable[[JSON], Ref]] = {
    SpecKind.TOOLS: _processor,
    SpecKind.SCHEMAS: _schema,
    SpecKind.PROMPTS: _prompt,
    SpecKind.POLICIES: _policy,
    SpecKind.PREDICATES: _predicate,
}


def placeholders(template: str) -> frozenset[str]:
    """The names that stand in a template as `${name}`; `Invalid` (`SPEC_INVALID`) for a `${` that begins none."""
    names = _PLACEHOLDER(template)
    if len(names) != template.count("${"):
        raise Invalid(_REASON, "a placeholder is written ${name}, its name in letters, digits and _", field="template")
    return frozenset(names)


_PLACEHOLDER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]{0,63})\}").findall


def _below(parent: str, field: str) -> str:
    return f"{parent}{'' if not field or field.startswith('[') else '.'}{field}"
