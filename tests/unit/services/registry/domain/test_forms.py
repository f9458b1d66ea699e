"""What a document must be: the form of its kind, and what no form can say."""

from collections.abc import Mapping
from typing import Any

import pytest

from services.registry.adapters.forms import read_forms
from services.registry.domain.forms import Forms, placeholders
from tests.unit.services.registry.documents import POLICY, PREDICATES, PROCESSOR, PROMPT, SCHEMA, SOUND, altered
from theory.core import jcs
from theory.core.cid import Cid
from theory.core.errors import Invalid
from theory.core.refs import SpecKind
from theory.core.registry import MAX_DOCUMENT_BYTES, SpecDraft

FORMS = Forms(read_forms())
PREDICATE = PREDICATES["artifact.exists@1"]
LONG = "x" * 5000


@pytest.mark.parametrize("draft", SOUND, ids=lambda draft: str(draft.document.get("id") or draft.document["ref"]))
def test_a_sound_document_is_taken_under_its_ref(draft: SpecDraft) -> None:
    judged = FORMS.judge(draft)
    assert judged.name.kind is draft.kind
    assert judged.name.ref.text == draft.document.get("ref", draft.document.get("id"))
    assert judged.canonical == jcs.canonical(dict(draft.document))
    assert judged.digest == Cid.of(judged.canonical).text


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("ref", ..., "ref"),
        ("ref", "LLM@1", "ref"),
        ("ref", "llm@0", "ref"),
        ("ref", 1, "ref"),
        ("id", "llm@1", "id"),
        ("name", "", "name"),
        ("name", ["x"], "name"),
        ("image", ..., "image"),
        ("image", {}, "image"),
        ("image", None, "image"),
        ("image.oci", "example.org/a:latest", "image.oci"),
        ("image.build.context", "../elsewhere", "image.build.context"),
        ("image.build.context", "/absolute", "image.build.context"),
        ("image.build.dockerfile", "a/../b", "image.build.dockerfile"),
        ("image.build.args", {}, "image.build.args"),
        ("command", "python3", "command"),
        ("command", [], "command"),
        ("command", [1], "command[0]"),
        ("runtime.cpu", 0, "runtime.cpu"),
        ("runtime.cpu", "0.0001", "runtime.cpu"),
        ("runtime.cpu", True, "runtime.cpu"),
        ("runtime.memory_gb", -1, "runtime.memory_gb"),
        ("runtime.timeout_s", 0, "runtime.timeout_s"),
        ("runtime.timeout_s", 86401, "runtime.timeout_s"),
        ("runtime.timeout_s", 1.5, "runtime.timeout_s"),
        ("runtime.timeout_s", "300", "runtime.timeout_s"),
        ("runtime.timeuot_s", 300, "runtime.timeuot_s"),
        ("runtime.gpu", True, "runtime.gpu"),
        ("runtime.gpu", {"model": "a100"}, "runtime.gpu.mem_gb"),
        ("runtime.gpu", {"model": "a100", "mem_gb": 40, "count": 0}, "runtime.gpu.count"),
        ("runtime.network", "internet", "runtime.network"),
        ("runtime.network", "internal", "runtime.network"),
        ("runtime.network", True, "runtime.network"),
        ("runtime.read_only_tool", 1, "runtime.read_only_tool"),
        ("secrets.required", "OPENAI_API_KEY", "secrets.required"),
        ("secrets.required", ["A", "A"], "secrets.required"),
        ("secrets.required", ["ANTHROPIC_API_KEY"], "secrets"),
        ("secrets.optional", ["THEORY_HOME"], "secrets.optional[0]"),
        ("secrets.optional", ["A B"], "secrets.optional[0]"),
        ("secrets.value", "x", "secrets.value"),
        ("outputs.writes", [{"prefix": "/elsewhere/"}], "outputs.writes[0].prefix"),
        ("outputs.writes", [{}], "outputs.writes[0].prefix"),
        ("outputs.writes", ["/artifacts/a/"], "outputs.writes[0]"),
        ("outputs.reads", [], "outputs.reads"),
        ("predicates.admission", [{"id": "no ref", "args": {}}], "predicates.admission[0].id"),
        ("predicates.admission", [{"args": {}}], "predicates.admission[0].id"),
        ("predicates.success", [{"id": "a@1", "args": []}], "predicates.success[0].args"),
        ("predicates.success", [{"id": "a@1", "arg": {}}], "predicates.success[0].arg"),
        ("predicates.success", [{"id": "json.schema_ok@1", "args": {}}], "predicates.success[0].args.schema"),
        ("predicates.before", [], "predicates.before"),
        ("adapter", {"modal": 1}, "adapter.modal"),
        ("adapter", {"modal": {"app": "theory"}}, "adapter.modal.app"),
        ("adapter", {"modal": {"region": "EU"}}, "adapter.modal.region"),
        ("adapter", {"modal": {"secret": "a b"}}, "adapter.modal.secret"),
        ("adapter", {"Modal": {}}, "adapter"),
        ("entrypoint", "x", "entrypoint"),
    ],
)
def test_a_processor_is_refused_by_field(path: str, value: object, field: str) -> None:
    _refused(SpecKind.TOOLS, altered(PROCESSOR, path, value), field)


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("id", ..., "id"),
        ("id", "media.metadata", "id"),
        ("schema", ..., "schema"),
        ("schema", True, "schema"),
        ("schema", [], "schema"),
        ("schema.type", "strnig", "schema.type"),
        ("schema.type", [], "schema.type"),
        ("schema.minimum", "1", "schema.minimum"),
        ("schema.required", ["a", "a"], "schema.required"),
        ("schema.pattern", "(", "schema.pattern"),
        ("schema.properties", {"a": {"enum": 1}}, "schema.properties.a.enum"),
        ("schema.items", [{}], "schema.items"),
        ("schema.$schema", "http://json-schema.org/draft-07/schema#", "schema.$schema"),
        ("schema.$ref", "https://example.org/other", "schema.$ref"),
        ("schema.$ref", "#/$defs/none", "schema.$ref"),
        ("schema.$dynamicRef", "other#meta", "schema.$dynamicRef"),
        ("schema.properties", {"a": {"$id": "inner"}}, "schema.properties.a.$id"),
        ("schema.const", {"$ref": "other.json"}, "schema.const.$ref"),
        ("schemas", {}, "schemas"),
    ],
)
def test_a_schema_is_refused_by_field(path: str, value: object, field: str) -> None:
    _refused(SpecKind.SCHEMAS, altered(SCHEMA, path, value), field)


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("id", "x", "id"),
        ("template", ..., "template"),
        ("template", "", "template"),
        ("template", "${a b}", "template"),
        ("template", "${}", "template"),
        ("template", "${a.b}", "template"),
        ("template", "${a", "template"),
        ("template", "${${a}}", "template"),
        ("template", "x" * 65537, "template"),
        ("variables", "no ref", "variables"),
        ("variables", ..., "variables"),
        ("model_hints", {"temperature": 0}, "model_hints.temperature"),
        ("model_hints", [], "model_hints"),
    ],
)
def test_a_prompt_is_refused_by_field(path: str, value: object, field: str) -> None:
    _refused(SpecKind.PROMPTS, altered(PROMPT, path, value), field)


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("id", 1, "id"),
        ("budget", ..., "budget"),
        ("budget.max_usd_micro", ..., "budget.max_usd_micro"),
        ("budget.max_usd_micro", -1, "budget.max_usd_micro"),
        ("budget.max_usd_micro", 0.5, "budget.max_usd_micro"),
        ("budget.max_usd_micro", True, "budget.max_usd_micro"),
        ("budget.default_required_usd_micro", 1000001, "budget.default_required_usd_micro"),
        ("budget.max_usd", 1, "budget.max_usd"),
        ("retry.max_attempts", 0, "retry.max_attempts"),
        ("retry.backoff_ms", [1, -1], "retry.backoff_ms[1]"),
        ("retry.backoff_ms", 1000, "retry.backoff_ms"),
        ("retry.on", ["succeeded"], "retry.on[0]"),
        ("retry.on", ["failed", "failed"], "retry.on"),
        ("leases.default_ttl_s", 0, "leases.default_ttl_s"),
        ("leases.enable_path_leases", "no", "leases.enable_path_leases"),
        ("rates.usd_micro_per_cpu_s", -1, "rates.usd_micro_per_cpu_s"),
        ("scratch.keep_s", -1, "scratch.keep_s"),
        ("scratch.events", "some", "scratch.events"),
        ("scratch.events", 1, "scratch.events"),
        ("scratch.events", 1_000_001, "scratch.events"),
        ("concurrency.per_plan", 0, "concurrency.per_plan"),
        ("concurrency.per_processor", "2", "concurrency.per_processor"),
        ("concurrency.per_runtime", 2, "concurrency.per_runtime"),
        ("scratch.queue_stats_s", 0, "scratch.queue_stats_s"),
        ("scratch.queue_stats_s", 3_601, "scratch.queue_stats_s"),
        ("scratch.event", "all", "scratch.event"),
        ("timeout", 1, "timeout"),
    ],
)
def test_a_policy_is_refused_by_field(path: str, value: object, field: str) -> None:
    _refused(SpecKind.POLICIES, altered(POLICY, path, value), field)


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("id", "x@0", "id"),
        ("gates", ..., "gates"),
        ("gates", [], "gates"),
        ("gates", ["later"], "gates[0]"),
        ("gates", ["success", "success"], "gates"),
        ("args", ..., "args"),
        ("args.type", "array", "args.type"),
        ("args.additionalProperties", True, "args.additionalProperties"),
        ("args.properties", {"path": {}}, "args.properties.path.type"),
        ("args.properties", {"path": {"type": "text"}}, "args.properties.path.type"),
        ("args.properties", {"path": {"type": "string", "pattern": "(a+)+$"}}, "args.properties.path.pattern"),
        ("args.properties", {"path": {"$ref": "#"}}, "args.properties.path.type"),
        ("args.allOf", [{}], "args.allOf"),
    ],
)
def test_a_predicate_is_refused_by_field(path: str, value: object, field: str) -> None:
    _refused(SpecKind.PREDICATES, altered(PREDICATE, path, value), field)


@pytest.mark.parametrize("kind", SpecKind)
@pytest.mark.parametrize("value", [LONG, 1, None])
def test_a_summary_is_a_short_text(kind: SpecKind, value: object) -> None:
    document = next(draft.document for draft in SOUND if draft.kind is kind)
    _refused(kind, {**document, "summary": value}, "summary")


def test_a_prompt_without_placeholders_needs_no_variables() -> None:
    FORMS.judge(SpecDraft(SpecKind.PROMPTS, {"id": "a@1", "template": "Say $5."}))


def test_a_template_names_each_placeholder_once() -> None:
    assert placeholders("${b} $a ${a}${b} {c}") == {"a", "b"}


def test_a_document_is_judged_in_its_canonical_form() -> None:
    judged = FORMS.judge(SpecDraft(SpecKind.TOOLS, altered(PROCESSOR, "runtime.timeout_s", 60.0)))
    assert b'"timeout_s":60}' in judged.canonical


def test_a_document_over_the_limit_is_refused() -> None:
    schema = {"description": "x" * MAX_DOCUMENT_BYTES}
    _refused(SpecKind.SCHEMAS, {"id": "a@1", "schema": schema}, "$")


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        FORMS.judge(SpecDraft(SpecKind.SCHEMAS, {"id": "a@1", "schema": {"const": 2**53}}))
    assert caught.value.reason == "JSON_INVALID"


def test_a_refusal_repeats_no_value_of_the_document() -> None:
    secret = "hunter2-" * 10
    for path in ("runtime.timeout_s", "image.oci", "ref", "outputs.writes"):
        with pytest.raises(Invalid) as caught:
            FORMS.judge(SpecDraft(SpecKind.TOOLS, altered(PROCESSOR, path, secret)))
        assert secret not in caught.value.message


def _refused(kind: SpecKind, document: Mapping[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        FORMS.judge(SpecDraft(kind, document))
    assert (caught.value.reason, caught.value.metadata["field"]) == ("SPEC_INVALID", field)
    assert caught.value.message
