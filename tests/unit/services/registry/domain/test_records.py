"""No byte of a stored row can change without being seen."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from services.registry.adapters.forms import read_forms
from services.registry.domain.forms import Forms
from services.registry.domain.records import opened, opened_as, opened_snapshot, sealed, sealed_snapshot
from services.registry.ports import SnapshotRow, SpecRow
from theory.core.errors import Corrupt
from theory.core.jcs import JSON
from theory.core.refs import Ref, SpecKind
from theory.core.registry import SpecDraft, SpecName
from theory.core.spec import RegistrySnapshot

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
DOCUMENT: dict[str, JSON] = {"id": "a@1", "schema": {"type": "integer"}}
ROW = sealed(Forms(read_forms()).judge(SpecDraft(SpecKind.SCHEMAS, DOCUMENT)), NOW)
SNAPSHOT = RegistrySnapshot.of({SpecKind.SCHEMAS: {"a@1": DOCUMENT}}, NOW)
SNAPSHOT_ROW = sealed_snapshot(SNAPSHOT)


def test_a_row_opens_to_what_was_sealed() -> None:
    spec = opened(ROW)
    assert (spec.name, spec.document, spec.create_time) == (SpecName(SpecKind.SCHEMAS, Ref("a@1")), DOCUMENT, NOW)


def test_a_snapshot_row_opens_to_what_was_sealed() -> None:
    assert opened_snapshot(SNAPSHOT.snapshot_id, SNAPSHOT_ROW) == SNAPSHOT


@pytest.mark.parametrize("field", SpecRow._fields)
def test_every_flipped_bit_of_a_row_is_seen(field: str) -> None:
    for damaged in _flipped(getattr(ROW, field)):
        with pytest.raises(Corrupt) as caught:
            opened(SpecRow(**{**ROW._asdict(), field: damaged}))
        assert caught.value.reason == "SPEC_CORRUPT"


@pytest.mark.parametrize("field", ["document", "digest"])
def test_every_flipped_bit_of_a_snapshot_row_is_seen(field: str) -> None:
    for damaged in _flipped(getattr(SNAPSHOT_ROW, field)):
        with pytest.raises(Corrupt) as caught:
            opened_snapshot(SNAPSHOT.snapshot_id, SnapshotRow(**{**SNAPSHOT_ROW._asdict(), field: damaged}))
        assert caught.value.reason == "SNAPSHOT_ID_MISMATCH"


@pytest.mark.parametrize("field", SpecRow._fields)
@pytest.mark.parametrize("length", [0, 1, -1])
def test_a_row_that_was_cut_short_is_seen(field: str, length: int) -> None:
    whole = getattr(ROW, field)
    with pytest.raises(Corrupt):
        opened(SpecRow(**{**ROW._asdict(), field: whole[:length]}))


def test_a_row_under_another_name_is_seen() -> None:
    with pytest.raises(Corrupt) as caught:
        opened_as(SpecName(SpecKind.SCHEMAS, Ref("b@1")), ROW)
    assert caught.value.metadata == {"ref": "b@1"}


@pytest.mark.parametrize("document", [b"", b"{}", b"[]", b"null", b"\xff"])
def test_a_snapshot_that_is_none_is_seen(document: bytes) -> None:
    with pytest.raises(Corrupt):
        opened_snapshot(SNAPSHOT.snapshot_id, SNAPSHOT_ROW._replace(document=document))


def test_a_sound_snapshot_under_another_id_is_seen() -> None:
    other = sealed_snapshot(RegistrySnapshot.of({}, NOW))
    with pytest.raises(Corrupt):
        opened_snapshot(SNAPSHOT.snapshot_id, SnapshotRow(SNAPSHOT.snapshot_id, other.document, other.digest))


def _flipped(whole: bytes | str) -> Iterator[bytes | str]:
    data = whole.encode() if isinstance(whole, str) else whole
    for at in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[at] ^= 1 << bit
            yield damaged.decode("utf-8", "replace") if isinstance(whole, str) else bytes(damaged)
