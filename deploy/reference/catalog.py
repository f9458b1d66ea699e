"""The page of the catalog: every document that ships with the registry, rendered."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

from deploy.reference.markdown import block, code, table
from deploy.reference.markdown import page as whole
from services.registry.adapters.catalog import BUNDLED, read_catalog
from theory.core import jcs
from theory.core.jcs import JSON
from theory.core.refs import SpecKind
from theory.core.spec import ImageSpec, PolicyDoc, Predicate, ProcessorSpec

_OF_FIELDS = {"type", "properties", "required", "additionalProperties"}

_ABOUT = """What every installation has from its first start on. A published document never changes; a new behaviour is
the next version. Yours come beside these with `theory registry apply`, or replace them with `THEORY_REGISTRY_CATALOG`.
"""


def page() -> str:
    """The whole page."""
    documents = [each.draft for each in read_catalog(BUNDLED)]
    blocks = [_ABOUT]
    for kind, (title, render) in _RENDER_BY_KIND.items():
        blocks.append(f"## {title}")
        for each in documents:
            if each.kind is kind:
                blocks += [f"### {_name(each.document)}", *render(each.document)]
    return whole("Catalog", "`services/registry/catalog`", *blocks)


def _name(document: Mapping[str, JSON]) -> str:
    return str(document.get("ref") or document.get("id"))


def _processor(document: Mapping[str, JSON]) -> Iterator[str]:
    spec = ProcessorSpec.parse(document)
    yield f"{spec.name}."
    runtime = spec.runtime
    gpu = "none" if runtime.gpu is None else f"{runtime.gpu.count} x {runtime.gpu.model}, {runtime.gpu.mem_gb} GB"
    rows = [
        ("image", _image(spec.image)),
        ("command", code(" ".join(spec.command)) if spec.command else "the image's own"),
        ("processor time", f"{runtime.cpu_milli / 1000:g} CPU"),
        ("memory", f"{runtime.memory_mb} MiB"),
        ("timeout", f"{runtime.timeout_s} s"),
        ("GPU", gpu),
        ("secrets, required", _codes(spec.secrets_required)),
        ("secrets, optional", _codes(spec.secrets_optional)),
        ("writes", _codes(each.text for each in spec.writes)),
        ("admission", _predicates(spec.admission)),
        ("success", _predicates(spec.success)),
        ("topics", "every one of its plan" if spec.topics is None else _codes(spec.topics)),
        ("adapter", _adapter(spec.adapter)),
    ]
    yield table(("", ""), rows)


def _image(image: ImageSpec) -> str:
    parts = [code(image.oci)] if image.oci else []
    if image.build_context:
        parts.append(f"built from {code(f'{image.build_context}/{image.dockerfile}')}")
    return ", or ".join(parts)


def _predicates(predicates: Sequence[Predicate]) -> str:
    return "<br>".join(f"{code(each.id.text)} {code(_line(each.args))}" for each in predicates) or "none"


def _adapter(adapter: Mapping[str, JSON]) -> str:
    return "<br>".join(f"{code(name)} {code(_line(value))}" for name, value in adapter.items()) or "nothing of its own"


def _policy(document: Mapping[str, JSON]) -> Iterator[str]:
    policy = PolicyDoc.parse(document)
    pauses = ", ".join(str(each) for each in policy.backoff_ms) or "none"
    yield table(
        ("", ""),
        [
            ("a plan may spend", f"{policy.max_usd_micro:,} micro-dollars"),
            ("an attempt that names no amount reserves", f"{policy.default_required_usd_micro:,} micro-dollars"),
            ("a second of one CPU costs", f"{policy.usd_micro_per_cpu_s:,} micro-dollars"),
            ("a second of one GB costs", f"{policy.usd_micro_per_gb_s:,} micro-dollars"),
            ("attempts", f"at most {policy.max_attempts}"),
            ("tried again", ", ".join(code(each) for each in sorted(policy.retry_on))),
            ("pauses before that", f"{pauses} ms; the last stands for all later ones"),
            ("path leases", f"{'on' if policy.path_leases else 'off'}, {policy.lease_ttl_s} s; recorded, not enforced"),
            ("scratch stays after the plan", f"{policy.keep_s} s"),
        ],
    )


def _schema(document: Mapping[str, JSON]) -> Iterator[str]:
    yield _form(document["schema"])


def _prompt(document: Mapping[str, JSON]) -> Iterator[str]:
    yield block(str(document["template"]))
    hints = document.get("model_hints")
    rows = [("variables", code(document["variables"]))] if "variables" in document else []
    rows += [(name, code(value)) for name, value in hints.items()] if isinstance(hints, Mapping) else []
    yield table(("", ""), rows)


def _predicate(document: Mapping[str, JSON]) -> Iterator[str]:
    gates = document.get("gates")
    named = " and ".join(str(each) for each in gates) if isinstance(gates, Sequence) else ""
    yield f"{document.get('summary', '')} For {named}."
    yield _form(document["args"])


_RENDER_BY_KIND: Mapping[SpecKind, tuple[str, Callable[[Mapping[str, JSON]], Iterator[str]]]] = {
    SpecKind.TOOLS: ("Processors", _processor),
    SpecKind.PREDICATES: ("Predicates", _predicate),
    SpecKind.POLICIES: ("Policies", _policy),
    SpecKind.SCHEMAS: ("Schemas", _schema),
    SpecKind.PROMPTS: ("Prompts", _prompt),
}


def _codes(texts: "Sequence[str] | Iterator[str]") -> str:
    return ", ".join(code(each) for each in texts) or "none"


def _line(value: JSON) -> str:
    return jcs.canonical(value).decode()


def _form(schema: JSON) -> str:
    """A JSON Schema: a table of its fields where it says no more than that, else as it is."""
    if isinstance(schema, Mapping) and _only_fields(schema):
        others = "" if schema.get("additionalProperties", True) else "\n\nOther fields are refused."
        return table(("field", "", "value"), _fields(schema, "")) + others
    return block(json.dumps(schema, indent=2, ensure_ascii=False), "json")


def _only_fields(schema: Mapping[str, JSON]) -> bool:
    others = schema.get("additionalProperties", True)
    return schema.get("type") == "object" and schema.keys() <= _OF_FIELDS and isinstance(others, bool)


def _fields(schema: Mapping[str, JSON], within: str) -> Iterator[tuple[str, str, str]]:
    properties, required = schema.get("properties"), schema.get("required")
    for name, rule in properties.items() if isinstance(properties, Mapping) else ():
        needed = "required" if isinstance(required, Sequence) and name in required else "optional"
        if isinstance(rule, Mapping) and _only_fields(rule):
            yield code(within + name), needed, "object" if rule.get("additionalProperties", True) else "object, closed"
            yield from _fields(rule, f"{within}{name}.")
        else:
            yield code(within + name), needed, _rule(rule)


def _rule(rule: JSON) -> str:
    if rule is True:
        return "anything"
    if not isinstance(rule, Mapping) or not isinstance(rule.get("type"), str):
        return code(_line(rule))
    limits = (f"{name} {code(_line(value))}" for name, value in rule.items() if name != "type")
    return ", ".join((str(rule["type"]), *limits))
