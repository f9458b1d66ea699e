"""Names of documents read like paths, and a published document is read from its canonical bytes."""

from datetime import UTC, datetime

from theory.core.refs import Ref, SpecKind
from theory.core.registry import Spec, SpecName


def test_a_name_says_its_kind_and_ref() -> None:
    assert str(SpecName(SpecKind.TOOLS, Ref.parse("llm/litellm@1"))) == "tools/llm/litellm@1"


def test_a_name_is_the_pair_of_its_parts() -> None:
    assert SpecName(SpecKind.TOOLS, Ref.parse("a@1")) == (SpecKind.TOOLS, Ref.parse("a@1"))


def test_a_document_is_what_its_canonical_bytes_spell() -> None:
    name = SpecName(SpecKind.SCHEMAS, Ref.parse("a@1"))
    spec = Spec(name, b'{"id":"a@1","schema":{}}', "b3:", datetime(2026, 1, 1, tzinfo=UTC))
    assert spec.document == {"id": "a@1", "schema": {}}
