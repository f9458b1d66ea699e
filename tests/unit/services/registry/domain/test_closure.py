"""The closure of some roots: whole, no more, and fit together."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from services.registry.domain.closure import MAX_BYTES, closure_of
from tests.unit.services.registry.documents import POLICY, PREDICATES, PROCESSOR, PROMPT, SCHEMA, SOUND, altered
from theory.core import jcs
from theory.core.cid import Cid
from theory.core.errors import Invalid, NotFound
from theory.core.refs import Ref, SpecKind
from theory.core.registry import Spec, SpecDraft, SpecName


class Shelf:
    """Documents by name, and how often they were asked for."""

    def __init__(self, drafts: Sequence[SpecDraft]) -> None:
        self.specs = {_name(each): _spec(each) for each in drafts}
        self.asked: list[SpecName] = []

    async def load(self, names: Collection[SpecName]) -> Mapping[SpecName, Spec]:
        self.asked += names
        return {name: self.specs[name] for name in names if name in self.specs}


def _name(draft: SpecDraft) -> SpecName:
    return SpecName(draft.kind, Ref.parse(str(draft.document.get("ref") or draft.document.get("id"))))


def _spec(draft: SpecDraft) -> Spec:
    canonical = jcs.canonical(dict(draft.document))
    return Spec(_name(draft), canonical, Cid.of(canonical).text, datetime(2026, 1, 1, tzinfo=UTC))


TOOL = SpecName(SpecKind.TOOLS, Ref("llm/litellm@1"))
PREDICATE = [SpecName(SpecKind.PREDICATES, Ref(each)) for each in PREDICATES]
METADATA = SpecName(SpecKind.SCHEMAS, Ref("media.metadata@1"))
CAPTION = SpecName(SpecKind.PROMPTS, Ref("media.caption@1"))
DEFAULT = SpecName(SpecKind.POLICIES, Ref("default@1"))


async def test_a_processor_brings_its_predicates_and_the_schemas_they_are_told() -> None:
    documents = await closure_of([TOOL], Shelf(SOUND).load)
    assert set(documents) == {TOOL, METADATA, *PREDICATE}
    assert documents[TOOL] == PROCESSOR


async def test_a_prompt_brings_its_variables() -> None:
    assert set(await closure_of([CAPTION], Shelf(SOUND).load)) == {CAPTION, METADATA}


async def test_a_policy_brings_nothing() -> None:
    assert await closure_of([DEFAULT], Shelf(SOUND).load) == {DEFAULT: POLICY}


async def test_each_document_is_loaded_once() -> None:
    shelf = Shelf(SOUND)
    await closure_of([TOOL, TOOL, CAPTION, METADATA], shelf.load)
    assert len(shelf.asked) == len(set(shelf.asked))


async def test_what_nobody_published_is_named_with_who_names_it() -> None:
    shelf = Shelf([draft for draft in SOUND if draft.kind is not SpecKind.SCHEMAS])
    with pytest.raises(NotFound) as caught:
        await closure_of([TOOL], shelf.load)
    assert caught.value.reason == "SPEC_UNKNOWN"
    assert caught.value.metadata == {"ref": "media.metadata@1", "kind": "schemas", "referrer": "llm/litellm@1"}


async def test_an_unknown_root_has_no_referrer() -> None:
    with pytest.raises(NotFound) as caught:
        await closure_of([TOOL], Shelf([]).load)
    assert caught.value.metadata == {"ref": "llm/litellm@1", "kind": "tools"}


@pytest.mark.parametrize(
    ("gate", "predicate", "field"),
    [
        ("admission", {"id": "budget.available@1"}, "predicates.admission[0].args.required_usd_micro"),
        (
            "admission",
            {"id": "budget.available@1", "args": {"required_usd_micro": -1}},
            "predicates.admission[0].args.required_usd_micro",
        ),
        (
            "admission",
            {"id": "budget.available@1", "args": {"required_usd_micro": 1, "most": 2}},
            "predicates.admission[0].args.most",
        ),
        ("success", {"id": "budget.available@1", "args": {"required_usd_micro": 1}}, "predicates.success[0].id"),
        ("success", {"id": "artifact.exists@1", "args": {"path": ""}}, "predicates.success[0].args.path"),
        ("success", {"id": "artifact.exists@1", "args": {"path": {"x": "${a}"}}}, "predicates.success[0].args.path"),
    ],
)
async def test_a_predicate_that_does_not_fit_its_document_is_named(
    gate: str, predicate: dict[str, Any], field: str
) -> None:
    unfit = SpecDraft(SpecKind.TOOLS, altered(PROCESSOR, "predicates", {gate: [predicate]}))
    with pytest.raises(Invalid) as caught:
        await closure_of([TOOL], Shelf([*SOUND, unfit]).load)
    assert caught.value.reason == "SPEC_INVALID"
    assert caught.value.metadata == {"ref": "llm/litellm@1", "field": field}


async def test_an_argument_that_is_filled_later_is_not_judged_now() -> None:
    later = [{"id": "budget.available@1", "args": {"required_usd_micro": "${inputs.amount}"}}]
    fit = SpecDraft(SpecKind.TOOLS, altered(PROCESSOR, "predicates", {"admission": later}))
    assert await closure_of([TOOL], Shelf([*SOUND, fit]).load)


@pytest.mark.parametrize(
    ("template", "field"),
    [("${title}", "variables"), ("${title} ${duration_ms} ${weight}", "template"), ("none", "variables")],
)
async def test_a_prompt_that_does_not_fit_its_variables_is_named(template: str, field: str) -> None:
    unfit = SpecDraft(SpecKind.PROMPTS, altered(PROMPT, "template", template))
    with pytest.raises(Invalid) as caught:
        await closure_of([CAPTION], Shelf([*SOUND, unfit]).load)
    assert caught.value.metadata == {"ref": "media.caption@1", "field": field}


async def test_a_schema_without_properties_declares_no_variables() -> None:
    bare = SpecDraft(SpecKind.SCHEMAS, altered(SCHEMA, "schema", {"type": "object"}))
    plain = SpecDraft(SpecKind.PROMPTS, altered(PROMPT, "template", "none"))
    assert set(await closure_of([CAPTION], Shelf([bare, plain]).load)) == {CAPTION, METADATA}


async def test_more_than_fits_a_message_is_refused_before_it_is_all_loaded() -> None:
    heavy = [
        SpecDraft(SpecKind.SCHEMAS, {"id": f"heavy@{at}", "schema": {"description": "x" * 250_000}})
        for at in range(1, 61)
    ]
    shelf = Shelf(heavy)
    with pytest.raises(Invalid) as caught:
        await closure_of(list(shelf.specs), shelf.load)
    assert (caught.value.reason, caught.value.metadata) == ("SNAPSHOT_TOO_LARGE", {"max_bytes": str(MAX_BYTES)})
    assert len(shelf.asked) < len(heavy)
