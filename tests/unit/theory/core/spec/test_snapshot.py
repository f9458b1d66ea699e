"""Snapshots: named by their content, whenever they were made, checked whenever they are read."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.theory.core.refusal import refused
from tests.vectors import make_hashes
from theory.core import jcs
from theory.core.errors import Corrupt, Invalid, NotFound
from theory.core.jcs import JSON
from theory.core.refs import Ref, SpecKind
from theory.core.spec import RegistrySnapshot

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PROCESSOR: Mapping[str, JSON] = {"ref": "demo/thumb@1", "image": {"build": {"context": "processors/demo_thumb"}}}
POLICY: Mapping[str, JSON] = {"id": "default@1", "budget": {"max_usd_micro": 5}}
SCHEMA: Mapping[str, JSON] = {"id": "a@1", "schema": {"type": "object", "minimum": 0.5}}
SNAPSHOT = RegistrySnapshot.of(
    {
        SpecKind.TOOLS: {"demo/thumb@1": PROCESSOR},
        SpecKind.POLICIES: {"default@1": POLICY},
        SpecKind.SCHEMAS: {"a@1": SCHEMA},
    },
    NOW,
)


def test_the_id_is_the_sha256_of_the_five_maps() -> None:
    maps = {
        "tools": {"demo/thumb@1": PROCESSOR},
        "schemas": {"a@1": SCHEMA},
        "prompts": {},
        "policies": {"default@1": POLICY},
        "predicates": {},
    }
    assert SNAPSHOT.snapshot_id == "sha256:" + hashlib.sha256(jcs.canonical(maps)).hexdigest()


def test_the_id_does_not_depend_on_when_it_was_made_or_on_order() -> None:
    documents = {SpecKind.TOOLS: {"b@1": PROCESSOR, "a@1": PROCESSOR}}
    backwards = {SpecKind.TOOLS: {"a@1": PROCESSOR, "b@1": PROCESSOR}}
    one = RegistrySnapshot.of(documents, NOW)
    other = RegistrySnapshot.of(backwards, NOW + timedelta(days=1))
    assert one.snapshot_id == other.snapshot_id
    assert one.snapshot_id != RegistrySnapshot.of({}, NOW).snapshot_id


def test_a_snapshot_goes_through_json_and_comes_back() -> None:
    document = SNAPSHOT.to_document()
    assert list(document) == ["snapshot_id", "created_at", "tools", "schemas", "prompts", "policies", "predicates"]
    assert document["created_at"] == "2026-01-02T03:04:05.000000Z"
    assert RegistrySnapshot.parse(jcs.parse(jcs.canonical(document))) == SNAPSHOT


def test_documents_are_found_by_ref() -> None:
    assert SNAPSHOT.get_processor(Ref("demo/thumb@1")).name == "thumb"
    assert SNAPSHOT.get_policy(Ref("default@1")).max_usd_micro == 5
    assert SNAPSHOT.get_schema(Ref("a@1")).schema["minimum"] == 0.5


def test_what_is_not_in_the_snapshot_is_not_found() -> None:
    with refused(NotFound, "PROCESSOR_UNKNOWN", ref="demo/thumb@2"):
        SNAPSHOT.get_processor(Ref("demo/thumb@2"))
    with refused(NotFound, "SPEC_UNKNOWN", ref="demo/thumb@1", kind="policies"):
        SNAPSHOT.get_policy(Ref("demo/thumb@1"))
    with refused(NotFound, "SPEC_UNKNOWN", ref="b@1", kind="schemas"):
        SNAPSHOT.get_schema(Ref("b@1"))


@pytest.mark.parametrize(
    "changes",
    [
        {"tools": {}},
        {"tools": {"demo/thumb@1": {**PROCESSOR, "name": "other"}}},
        {"tools": {"demo/thumb@2": PROCESSOR}},
        {"schemas": None},
        {"prompts": {"p@1": {}}},
        {"snapshot_id": "sha256:" + "0" * 64},
        {"snapshot_id": ""},
    ],
)
def test_content_of_another_name_is_corrupt(changes: Mapping[str, JSON]) -> None:
    document = {**SNAPSHOT.to_document(), **changes}
    with refused(Corrupt, "SNAPSHOT_ID_MISMATCH", snapshot_id=str(document["snapshot_id"])):
        RegistrySnapshot.parse(document)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"snapshot_id": None}, "snapshot_id"),
        ({"created_at": None}, "created_at"),
        ({"created_at": "yesterday"}, "created_at"),
        ({"tools": []}, "tools"),
        ({"tools": {"a@1": []}}, "tools.a@1"),
        ({"toys": {}}, "toys"),
    ],
)
def test_what_is_no_snapshot_is_refused(changes: Mapping[str, JSON], field: str) -> None:
    with refused(Invalid, "SPEC_INVALID", field=field):
        RegistrySnapshot.parse({**SNAPSHOT.to_document(), **changes})


def test_the_published_vector_holds() -> None:
    (vector,) = json.loads(make_hashes.FILE.read_text("ascii"))["snapshots"]
    documents = {SpecKind(kind): held for kind, held in vector["document"].items()}
    assert RegistrySnapshot.of(documents, NOW).snapshot_id == vector["snapshot_id"]
