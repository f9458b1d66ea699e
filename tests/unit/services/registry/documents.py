"""Documents for the tests of the registry's rules."""

from collections.abc import Mapping
from typing import Any

from theory.core.refs import SpecKind
from theory.core.registry import SpecDraft

DIGEST = "0" * 64

PROCESSOR: Mapping[str, Any] = {
    "ref": "llm/litellm@1",
    "name": "LiteLLM",
    "image": {
        "oci": f"example.org/theory/llm_litellm:v1.2.3@sha256:{DIGEST}",
        "build": {"context": "apps/core/processors/llm_litellm", "dockerfile": "Dockerfile"},
    },
    "command": ["python3", "/opt/processor.py"],
    "runtime": {
        "cpu": 1,
        "memory_gb": "0.5",
        "timeout_s": 300,
        "gpu": False,
        "network": "none",
        "read_only_tool": False,
    },
    "secrets": {"required": ["OPENAI_API_KEY"], "optional": ["ANTHROPIC_API_KEY"]},
    "outputs": {"writes": [{"prefix": "/artifacts/outputs/text/"}, {"prefix": "/artifacts/outputs/meta.json"}]},
    "predicates": {
        "admission": [{"id": "budget.available@1", "args": {"required_usd_micro": 1000}}],
        "success": [
            {"id": "artifact.exists@1", "args": {"path": "${outputs.text_path}"}},
            {"id": "json.schema_ok@1", "args": {"path": "${outputs.meta_path}", "schema": "media.metadata@1"}},
        ],
    },
    "adapter": {"modal": {"region": "eu-west"}},
}
SCHEMA: Mapping[str, Any] = {
    "id": "media.metadata@1",
    "schema": {
        "type": "object",
        "properties": {"title": {"type": "string"}, "duration_ms": {"type": "integer", "minimum": 0}},
        "required": ["title", "duration_ms"],
    },
}
PROMPT: Mapping[str, Any] = {
    "id": "media.caption@1",
    "template": "A caption of $5 at most: ${title}, ${duration_ms} ms.",
    "variables": "media.metadata@1",
    "model_hints": {"temperature": "0"},
}
POLICY: Mapping[str, Any] = {
    "id": "default@1",
    "budget": {"max_usd_micro": 1000000, "default_required_usd_micro": 1},
    "retry": {"max_attempts": 3, "backoff_ms": [1000, 5000, 15000], "on": ["failed", "oom"]},
    "leases": {"default_ttl_s": 3600, "enable_path_leases": True},
    "concurrency": {"per_plan": 100, "per_processor": 10},
    "rates": {"usd_micro_per_cpu_s": 11, "usd_micro_per_gb_s": 2},
    "scratch": {"keep_s": 60, "events": "all", "queue_stats_s": 30},
}
PREDICATES: Mapping[str, Mapping[str, Any]] = {
    "budget.available@1": {
        "id": "budget.available@1",
        "summary": "There is enough left.",
        "gates": ["admission"],
        "args": {
            "type": "object",
            "properties": {"required_usd_micro": {"type": "integer", "minimum": 0}},
            "required": ["required_usd_micro"],
            "additionalProperties": False,
        },
    },
    "artifact.exists@1": {
        "id": "artifact.exists@1",
        "gates": ["admission", "success"],
        "args": {
            "type": "object",
            "properties": {"path": {"type": "string", "minLength": 1}},
            "required": ["path"],
            "additionalProperties": False,
        },
    },
    "json.schema_ok@1": {
        "id": "json.schema_ok@1",
        "gates": ["success"],
        "args": {
            "type": "object",
            "properties": {"path": {"type": "string"}, "schema": {"type": "string"}, "equals": True},
            "required": ["path", "schema"],
            "additionalProperties": False,
        },
    },
}
SOUND = [
    SpecDraft(SpecKind.TOOLS, PROCESSOR),
    SpecDraft(SpecKind.SCHEMAS, SCHEMA),
    SpecDraft(SpecKind.PROMPTS, PROMPT),
    SpecDraft(SpecKind.POLICIES, POLICY),
    *(SpecDraft(SpecKind.PREDICATES, each) for each in PREDICATES.values()),
]


def altered(document: Mapping[str, Any], path: str, value: object) -> dict[str, Any]:
    """The document with another value at a path such as `runtime.cpu`; a value of `...` takes the field away."""
    name, _, rest = path.partition(".")
    if rest:
        return {**document, name: altered(document.get(name, {}), rest, value)}
    kept = {key: each for key, each in document.items() if key != name}
    return kept if value is ... else {**kept, name: value}
