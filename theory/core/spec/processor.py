"""Processor specs: what can be run, within which limits, and what it may write."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from theory.core import jcs
from theory.core.cid import Cid
from theory.core.document import Fields
from theory.core.errors import Invalid, shown
from theory.core.jcs import JSON
from theory.core.refs import Ref, SpecKind
from theory.core.selector import WriteEntry
from theory.core.world_path import PathPrefix

_SECRET_NAME = re.compile(r"(?!THEORY_)[A-Za-z_][A-Za-z0-9_]{0,127}").fullmatch
_OCI = re.compile(r"[a-z0-9][A-Za-z0-9./:_-]{0,400}@sha256:[0-9a-f]{64}").fullmatch
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,128}").fullmatch
_RELATIVE = re.compile(r"(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]+(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]+)*").fullmatch
_DECIMAL = re.compile(r"([0-9]{1,6})(?:\.([0-9]{1,3}))?").fullmatch
_MAX_CPU_MILLI = 1_024_000
_MAX_MEMORY_MILLI_GB = 16_384_000
_MAX_TIMEOUT_S = 86_400
_SCHEMA_PREDICATE = ("json", "schema_ok")


@dataclass(frozen=True, slots=True)
class Gpu:
    """What an attempt gets of graphics processors."""

    model: str
    count: int
    mem_gb: int

    def to_document(self) -> dict[str, JSON]:
        """As specs and fingerprints hold it."""
        return {"model": self.model, "count": self.count, "mem_gb": self.mem_gb}


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """Where the image comes from: an OCI reference pinned by digest, a build context, or both."""

    oci: str | None
    build_context: str | None
    dockerfile: str


@dataclass(frozen=True, slots=True)
class RuntimeSpec:
    """What an attempt gets: exact integers, however the document writes them."""

    cpu_milli: int
    """Thousandths of a processor."""
    memory_mb: int
    """MiB, rounded down: `memory_gb` counts GiB, as container engines do."""
    timeout_s: int
    gpu: Gpu | None
    read_only_tool: bool
    """Queries the World and writes nothing: its attempts reserve no budget."""


@dataclass(frozen=True, slots=True)
class Predicate:
    """A named condition on the World, with its arguments as the document has them (`${outputs.x}` unfilled)."""

    id: Ref
    args: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class ProcessorSpec:
    """What can be run: image, limits, names of secrets, write set and predicates."""

    ref: Ref
    name: str
    image: ImageSpec
    command: tuple[str, ...] | None
    """Runs instead of the image's own; None keeps that."""
    runtime: RuntimeSpec
    secrets_required: tuple[str, ...]
    secrets_optional: tuple[str, ...]
    writes: tuple[WriteEntry, ...]
    admission: tuple[Predicate, ...]
    success: tuple[Predicate, ...]
    topics: tuple[str, ...] | None
    """The topics that its attempts may use; None where it declares none, and every topic of their plan is open."""
    adapter: Mapping[str, JSON]
    """What single adapters want to know, such as `modal`; passed on unread."""
    document: Mapping[str, JSON]
    """The document that this is a view of."""

    @classmethod
    def parse(cls, document: JSON) -> Self:
        """The view of a processor document; `Invalid` (`SPEC_INVALID`) with `field`, such as `runtime.timeout_s`.

        Fields that are not known are passed over: what a document may hold is the registry's business.
        """
        fields = Fields(document, reason="SPEC_INVALID")
        ref = fields.needed("ref", Ref.parse)
        secrets, predicates = fields.object("secrets"), fields.object("predicates")
        required = secrets.texts("required", _secret_name)
        optional = secrets.texts("optional", _secret_name)
        if len({*required, *optional}) != len(required) + len(optional):
            raise fields.refusal("a secret is named twice", "secrets")
        return cls(
            ref=ref,
            name=fields.get("name", str, ref.name),
            image=_image(fields.object("image")),
            command=fields.texts("command", str) or None,
            runtime=_runtime(fields.object("runtime")),
            secrets_required=required,
            secrets_optional=optional,
            writes=tuple(
                each.needed("prefix", WriteEntry.parse) for each in fields.object("outputs").objects("writes")
            ),
            admission=_predicates(predicates, "admission"),
            success=_predicates(predicates, "success"),
            topics=_topics(fields.object("scratch")),
            adapter=fields.mapping("adapter"),
            document=fields.document,
        )

    @property
    def first_prefix(self) -> PathPrefix | None:
        """The first declared folder, below which transitions write unless they say otherwise."""
        return next((entry.prefix for entry in self.writes if entry.prefix is not None), None)

    @property
    def references(self) -> tuple[tuple[SpecKind, Ref], ...]:
        """The documents that this one names: a snapshot that holds it holds them."""
        predicates = (*self.admission, *self.success)
        schemas = (_schema_of(each) for each in predicates)
        named = [(SpecKind.PREDICATES, each.id) for each in predicates]
        return tuple(dict.fromkeys([*named, *((SpecKind.SCHEMAS, ref) for ref in schemas if ref is not None)]))

    def digest(self) -> str:
        """The CID of the document's canonical JSON, by which the registry knows it, too."""
        return Cid.of(jcs.canonical(dict(self.document))).text


def _image(fields: Fields) -> ImageSpec:
    build = fields.object("build")
    context = build.parsed("context", _relative_path, None)
    oci = fields.parsed("oci", _oci_reference, None)
    if context is None and oci is None:
        raise fields.refusal("an image has `oci`, `build.context`, or both")
    return ImageSpec(oci, context, build.parsed("dockerfile", _relative_path, "Dockerfile"))


def _runtime(fields: Fields) -> RuntimeSpec:
    memory_milli_gb = _thousandths(fields, "memory_gb", _MAX_MEMORY_MILLI_GB)
    return RuntimeSpec(
        cpu_milli=_thousandths(fields, "cpu", _MAX_CPU_MILLI),
        memory_mb=max(1, memory_milli_gb * 1024 // 1000),
        timeout_s=fields.whole("timeout_s", 300, low=1, high=_MAX_TIMEOUT_S),
        gpu=None if fields.raw("gpu") in (None, False) else _gpu(fields.object("gpu")),
        read_only_tool=fields.get("read_only_tool", bool, default=False),
    )


def _gpu(fields: Fields) -> Gpu:
    fields.need("mem_gb", int)
    return Gpu(
        fields.need("model", str), fields.whole("count", 1, low=1, high=64), fields.whole("mem_gb", 1, low=1, high=1024)
    )


def _thousandths(fields: Fields, name: str, most: int) -> int:
    """A decimal (`1`, `0.5` or `"0.5"`) as whole thousandths; one where it is absent."""
    value = fields.raw(name)
    match = _DECIMAL("1" if value is None else str(value))
    thousandths = 0 if match is None else int(match[1]) * 1000 + int((match[2] or "0").ljust(3, "0"))
    if not 0 < thousandths <= most:
        raise fields.refusal(f"a number above 0, at most {most // 1000}, with at most 3 decimals is expected", name)
    return thousandths


def _predicates(fields: Fields, name: str) -> tuple[Predicate, ...]:
    found = tuple(Predicate(each.needed("id", Ref.parse), each.mapping("args")) for each in fields.objects(name))
    for at, each in enumerate(found):
        fields.checked(f"{name}[{at}].args.schema", _schema_of, each)
    return found


def _schema_of(predicate: Predicate) -> Ref | None:
    if (predicate.id.namespace, predicate.id.name) != _SCHEMA_PREDICATE:
        return None
    schema = predicate.args.get("schema")
    return Ref.parse(schema if isinstance(schema, str) else "")


def _topics(fields: Fields) -> tuple[str, ...] | None:
    if "topics" not in fields:
        return None
    topics = fields.texts("topics", _topic)
    if len(set(topics)) != len(topics):
        raise fields.refusal("a topic is named twice", "topics")
    return topics


def _topic(text: str) -> str:
    if _TOPIC(text) is None:
        message = "a topic has 1 to 128 letters, digits, '.', '_' and '-'"
        raise Invalid("TOPIC_INVALID", message, value=shown(text))
    return text


def _secret_name(text: str) -> str:
    if _SECRET_NAME(text) is None:
        message = "a secret is named like an environment variable, and not THEORY_..."
        raise Invalid("SECRET_NAME_INVALID", message, value=shown(text))
    return text


def _oci_reference(text: str) -> str:
    if _OCI(text) is None:
        raise Invalid("SPEC_INVALID", "an image is pinned: repository:tag@sha256:<64 hex digits>", field="image.oci")
    return text


def _relative_path(text: str) -> str:
    if _RELATIVE(text) is None:
        raise Invalid("SPEC_INVALID", "a relative path without '.' and '..' is expected", field="image.build")
    return text
