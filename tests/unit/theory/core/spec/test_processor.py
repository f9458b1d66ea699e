"""Processor specs: the mission's document, exact limits, and complaints with the path of the field."""

from collections.abc import Mapping

import pytest

from tests.unit.theory.core.refusal import refused
from theory.core import jcs
from theory.core.cid import Cid
from theory.core.errors import Invalid
from theory.core.jcs import JSON
from theory.core.refs import Ref, SpecKind
from theory.core.spec import Gpu, ImageSpec, Predicate, ProcessorSpec, RuntimeSpec

DIGEST = "sha256:" + "a" * 64
SMALL: Mapping[str, JSON] = {"ref": "demo/thumb@1", "image": {"build": {"context": "processors/demo_thumb"}}}
WHOLE: Mapping[str, JSON] = {
    "ref": "llm/litellm@1",
    "name": "Text by a language model",
    "image": {
        "oci": f"ghcr.io/acme/llm-litellm:v1.2.3@{DIGEST}",
        "build": {"context": "apps/core/processors/llm_litellm", "dockerfile": "Dockerfile.slim"},
    },
    "command": ["python3", "/opt/processor.py"],
    "runtime": {
        "cpu": 1,
        "memory_gb": 2,
        "timeout_s": 300,
        "gpu": {"model": "a100", "count": 2, "mem_gb": 40},
        "read_only_tool": True,
    },
    "secrets": {"required": ["OPENAI_API_KEY"], "optional": ["ANTHROPIC_API_KEY"]},
    "outputs": {"writes": [{"prefix": "/artifacts/outputs/meta.json"}, {"prefix": "/artifacts/outputs/text/"}]},
    "predicates": {
        "admission": [{"id": "budget.available@1", "args": {"required_usd_micro": 1000}}],
        "success": [
            {"id": "artifact.exists@1", "args": {"path": "${outputs.text_path}"}},
            {"id": "json.schema_ok@1", "args": {"path": "${outputs.meta}", "schema": "media.metadata@1"}},
            {"id": "json.schema_ok@1", "args": {"path": "${outputs.more}", "schema": "media.metadata@1"}},
        ],
    },
    "adapter": {"modal": {"region": "eu"}},
    "description": "passed over",
}


def test_every_field_of_the_document_is_seen() -> None:
    spec = ProcessorSpec.parse(WHOLE)
    assert (spec.ref, spec.name) == (Ref("llm/litellm@1"), "Text by a language model")
    assert spec.image == ImageSpec(
        oci=f"ghcr.io/acme/llm-litellm:v1.2.3@{DIGEST}",
        build_context="apps/core/processors/llm_litellm",
        dockerfile="Dockerfile.slim",
    )
    assert spec.command == ("python3", "/opt/processor.py")
    assert spec.runtime == RuntimeSpec(
        cpu_milli=1000, memory_mb=2048, timeout_s=300, gpu=Gpu("a100", 2, 40), read_only_tool=True
    )
    assert (spec.secrets_required, spec.secrets_optional) == (("OPENAI_API_KEY",), ("ANTHROPIC_API_KEY",))
    assert [entry.text for entry in spec.writes] == ["/artifacts/outputs/meta.json", "/artifacts/outputs/text/"]
    assert spec.admission == (Predicate(Ref("budget.available@1"), {"required_usd_micro": 1000}),)
    assert [each.args["path"] for each in spec.success] == [
        "${outputs.text_path}",
        "${outputs.meta}",
        "${outputs.more}",
    ]
    assert spec.adapter == {"modal": {"region": "eu"}}
    assert spec.document == WHOLE


def test_a_small_document_gets_the_defaults() -> None:
    spec = ProcessorSpec.parse(SMALL)
    assert spec.name == "thumb"
    assert spec.image == ImageSpec(None, "processors/demo_thumb", "Dockerfile")
    assert spec.runtime == RuntimeSpec(cpu_milli=1000, memory_mb=1024, timeout_s=300, gpu=None, read_only_tool=False)
    assert (spec.command, spec.writes, spec.admission, spec.success, spec.adapter) == (None, (), (), (), {})
    assert (spec.secrets_required, spec.secrets_optional, spec.references) == ((), (), ())


def test_the_first_prefix_is_the_first_folder() -> None:
    prefix = ProcessorSpec.parse(WHOLE).first_prefix
    assert prefix is not None
    assert prefix.text == "/artifacts/outputs/text/"
    assert ProcessorSpec.parse(SMALL).first_prefix is None


def test_the_documents_that_it_names_are_listed_once() -> None:
    assert ProcessorSpec.parse(WHOLE).references == (
        (SpecKind.PREDICATES, Ref("budget.available@1")),
        (SpecKind.PREDICATES, Ref("artifact.exists@1")),
        (SpecKind.PREDICATES, Ref("json.schema_ok@1")),
        (SpecKind.SCHEMAS, Ref("media.metadata@1")),
    )


def test_the_digest_is_the_cid_of_the_canonical_document() -> None:
    assert ProcessorSpec.parse(WHOLE).digest() == Cid.of(jcs.canonical(WHOLE)).text
    assert ProcessorSpec.parse(dict(reversed([*WHOLE.items()]))).digest() == ProcessorSpec.parse(WHOLE).digest()


@pytest.mark.parametrize(
    ("cpu", "milli"), [(1, 1000), (0.5, 500), ("0.5", 500), ("2", 2000), (2.0, 2000), ("0.001", 1), (1024, 1_024_000)]
)
def test_processors_are_whole_thousandths(cpu: JSON, milli: int) -> None:
    assert ProcessorSpec.parse({**SMALL, "runtime": {"cpu": cpu}}).runtime.cpu_milli == milli


@pytest.mark.parametrize(
    ("memory_gb", "memory_mb"),
    [(1, 1024), (0.5, 512), ("0.25", 256), ("1.5", 1536), ("0.1", 102), ("0.0", 0), ("0.001", 1)],
)
def test_memory_is_whole_mebibytes(memory_gb: JSON, memory_mb: int) -> None:
    document: Mapping[str, JSON] = {**SMALL, "runtime": {"memory_gb": memory_gb}}
    if memory_mb:
        assert ProcessorSpec.parse(document).runtime.memory_mb == memory_mb
    else:
        with refused(Invalid, "SPEC_INVALID", field="runtime.memory_gb"):
            ProcessorSpec.parse(document)


@pytest.mark.parametrize("gpu", [False, None])
def test_no_gpu_may_be_said_or_left_out(gpu: JSON) -> None:
    assert ProcessorSpec.parse({**SMALL, "runtime": {"gpu": gpu}}).runtime.gpu is None


def _predicate(**predicate: JSON) -> Mapping[str, JSON]:
    return {"predicates": {"success": [{"id": "a@1"}, predicate]}}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ref": None}, "ref"),
        ({"ref": "thumb"}, "ref"),
        ({"name": 1}, "name"),
        ({"image": None}, "image"),
        ({"image": {}}, "image"),
        ({"image": {"build": {"dockerfile": "Dockerfile"}}}, "image"),
        ({"image": {"oci": "ghcr.io/acme/x:v1"}}, "image.oci"),
        ({"image": {"oci": "ghcr.io/acme/x@sha256:abc"}}, "image.oci"),
        ({"image": {"oci": f"--privileged@{DIGEST}"}}, "image.oci"),
        ({"image": {"oci": f"a b@{DIGEST}"}}, "image.oci"),
        ({"image": {"build": {"context": "/etc"}}}, "image.build.context"),
        ({"image": {"build": {"context": "../x"}}}, "image.build.context"),
        ({"image": {"build": {"context": "a/../b"}}}, "image.build.context"),
        ({"image": {"build": {"context": "a/.."}}}, "image.build.context"),
        ({"image": {"build": {"context": "a//b"}}}, "image.build.context"),
        ({"image": {"build": {"context": "."}}}, "image.build.context"),
        ({"image": {"build": {"context": "a", "dockerfile": "../Dockerfile"}}}, "image.build.dockerfile"),
        ({"command": "python3"}, "command"),
        ({"command": ["a", 1]}, "command[1]"),
        ({"runtime": []}, "runtime"),
        ({"runtime": {"cpu": 0}}, "runtime.cpu"),
        ({"runtime": {"cpu": -1}}, "runtime.cpu"),
        ({"runtime": {"cpu": 0.0001}}, "runtime.cpu"),
        ({"runtime": {"cpu": "1e3"}}, "runtime.cpu"),
        ({"runtime": {"cpu": True}}, "runtime.cpu"),
        ({"runtime": {"cpu": 1025}}, "runtime.cpu"),
        ({"runtime": {"memory_gb": "2GB"}}, "runtime.memory_gb"),
        ({"runtime": {"memory_gb": [1]}}, "runtime.memory_gb"),
        ({"runtime": {"timeout_s": 0}}, "runtime.timeout_s"),
        ({"runtime": {"timeout_s": 86401}}, "runtime.timeout_s"),
        ({"runtime": {"timeout_s": 1.5}}, "runtime.timeout_s"),
        ({"runtime": {"timeout_s": "300"}}, "runtime.timeout_s"),
        ({"runtime": {"gpu": True}}, "runtime.gpu"),
        ({"runtime": {"gpu": {"count": 1, "mem_gb": 1}}}, "runtime.gpu.model"),
        ({"runtime": {"gpu": {"model": "a", "count": 0, "mem_gb": 1}}}, "runtime.gpu.count"),
        ({"runtime": {"gpu": {"model": "a"}}}, "runtime.gpu.mem_gb"),
        ({"runtime": {"read_only_tool": "yes"}}, "runtime.read_only_tool"),
        ({"secrets": {"required": ["a-b"]}}, "secrets.required[0]"),
        ({"secrets": {"required": ["1A"]}}, "secrets.required[0]"),
        ({"secrets": {"optional": ["OK", "THEORY_WORK_DIR"]}}, "secrets.optional[1]"),
        ({"secrets": {"required": ["A", "A"]}}, "secrets"),
        ({"secrets": {"required": ["A"], "optional": ["A"]}}, "secrets"),
        ({"outputs": {"writes": ["/artifacts/a/"]}}, "outputs.writes[0]"),
        ({"outputs": {"writes": [{}]}}, "outputs.writes[0].prefix"),
        ({"outputs": {"writes": [{"prefix": "/streams/a/"}]}}, "outputs.writes[0].prefix"),
        ({"outputs": {"writes": [{"prefix": "/artifacts/a/"}, {"prefix": "/x"}]}}, "outputs.writes[1].prefix"),
        (_predicate(id="nope"), "predicates.success[1].id"),
        (_predicate(), "predicates.success[1].id"),
        (_predicate(id="b@1", args=[]), "predicates.success[1].args"),
        (_predicate(id="json.schema_ok@2", args={"schema": "nope"}), "predicates.success[1].args.schema"),
        (_predicate(id="json.schema_ok@1", args={"schema": 1}), "predicates.success[1].args.schema"),
        (_predicate(id="json.schema_ok@1"), "predicates.success[1].args.schema"),
        ({"adapter": "modal"}, "adapter"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(changes: Mapping[str, JSON], field: str) -> None:
    with refused(Invalid, "SPEC_INVALID", field=field):
        ProcessorSpec.parse({**SMALL, **changes})


@pytest.mark.parametrize("document", [None, [], "a", 1])
def test_what_is_no_document_is_refused(document: JSON) -> None:
    with refused(Invalid, "SPEC_INVALID", field="$"):
        ProcessorSpec.parse(document)


def test_topics_are_all_or_those_that_are_declared() -> None:
    assert ProcessorSpec.parse(SMALL).topics is None
    assert ProcessorSpec.parse({**SMALL, "scratch": {"topics": []}}).topics == ()
    assert ProcessorSpec.parse({**SMALL, "scratch": {"topics": ["jobs", "a.B-c_1"]}}).topics == ("jobs", "a.B-c_1")


@pytest.mark.parametrize("topics", [["a b"], [""], ["x" * 129], ["jobs", "jobs"], [1], "jobs"])
def test_topics_that_no_queue_could_have_are_refused(topics: JSON) -> None:
    with pytest.raises(Invalid) as caught:
        ProcessorSpec.parse({**SMALL, "scratch": {"topics": topics}})
    assert caught.value.reason == "SPEC_INVALID"
    assert caught.value.metadata["field"].startswith("scratch.topics")
