"""References: the grammar of the registry's names."""

import pytest

from tests.unit.theory.core.refusal import refused
from theory.core.errors import Invalid
from theory.core.refs import Ref, SpecKind


@pytest.mark.parametrize(
    ("text", "namespace", "name", "version"),
    [
        ("llm/litellm@1", "llm", "litellm", 1),
        ("media.metadata@1", "media", "metadata", 1),
        ("default@1", "", "default", 1),
        ("text.llm@12", "text", "llm", 12),
        ("a/b.c/d_e-f@999999999", "a/b.c", "d_e-f", 999_999_999),
        ("0@1", "", "0", 1),
        ("json.schema_ok@1", "json", "schema_ok", 1),
    ],
)
def test_a_reference_has_namespace_name_and_version(text: str, namespace: str, name: str, version: int) -> None:
    ref = Ref.parse(text)
    assert (ref.namespace, ref.name, ref.version, str(ref)) == (namespace, name, version, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "@1",
        "a@",
        "a@0",
        "a@01",
        "a@-1",
        "a@1.0",
        "a@x",
        "a@1@2",
        "A@1",
        "a//b@1",
        "a..b@1",
        "/a@1",
        "a/@1",
        ".a@1",
        "_a@1",
        "-a@1",
        "a/_b@1",
        "a b@1",
        "é@1",
        "a@\u0661",
        "a@1\n",
        "a@1000000000",
        "../etc@1",
        "a" * 127 + "@1",
        "a@latest",
    ],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with refused(Invalid, "REF_INVALID", value=text):
        Ref.parse(text)


def test_the_longest_reference_has_128_characters() -> None:
    assert Ref.parse("a" * 126 + "@1").name == "a" * 126


def test_the_kinds_are_the_maps_of_a_snapshot() -> None:
    assert [*SpecKind] == ["tools", "schemas", "prompts", "policies", "predicates"]
