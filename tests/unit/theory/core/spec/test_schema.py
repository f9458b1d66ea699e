"""Schema specs."""

import pytest

from tests.unit.theory.core.refusal import refused
from theory.core.errors import Invalid
from theory.core.jcs import JSON
from theory.core.refs import Ref
from theory.core.spec import SchemaSpec


def test_a_schema_has_an_id_and_the_schema_itself() -> None:
    spec = SchemaSpec.parse({"id": "media.metadata@1", "schema": {"type": "object"}})
    assert (spec.id, spec.schema) == (Ref("media.metadata@1"), {"type": "object"})
    assert SchemaSpec.parse({"id": "anything@1", "schema": {}}).schema == {}


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"schema": {}}, "id"),
        ({"id": "a@1"}, "schema"),
        ({"id": "a@1", "schema": []}, "schema"),
        ({"id": "a", "schema": {}}, "id"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(document: JSON, field: str) -> None:
    with refused(Invalid, "SPEC_INVALID", field=field):
        SchemaSpec.parse(document)
