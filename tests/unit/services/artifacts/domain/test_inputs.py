"""What attempts are told that they may read, and until when they may bring something."""

from datetime import UTC, datetime

import pytest

from services.artifacts.adapters.bindings.memory import MemoryTable
from services.artifacts.adapters.blobs.memory import MemoryBlobs
from services.artifacts.domain import bindings, inputs
from theory.core.artifact import Output
from theory.core.binding import Abortion, AttemptInputs, Commitment, Preparation
from theory.core.cid import Cid
from theory.core.errors import Conflict, NotFound
from theory.core.grant import AttemptGrant
from theory.core.ids import ExecutionId, PlanId
from theory.core.world_path import WorldName, WorldPath

NOW = datetime(2026, 1, 1, tzinfo=UTC)
W, P, X = WorldName("w"), PlanId("p"), ExecutionId("p.x")
ONE, TWO, NOWHERE = Cid.of(b"one"), Cid.of(b"two"), Cid.of(b"nowhere")
A, B = WorldPath("/artifacts/a"), WorldPath("/artifacts/b")


@pytest.fixture
def blobs() -> MemoryBlobs:
    blobs = MemoryBlobs()
    blobs.data_by_cid.update({ONE: b"one", TWO: b"two"})
    return blobs


@pytest.fixture
def table() -> MemoryTable:
    return MemoryTable()


def item(epoch: int, *reads: tuple[WorldPath, Cid], execution: ExecutionId = X) -> AttemptInputs:
    return AttemptInputs(W, P, execution, epoch, reads)


def grant(epoch: int) -> AttemptGrant:
    return AttemptGrant(P, W, X, 0, epoch, ())


def test_what_is_told_is_readable_at_its_epoch_alone(table: MemoryTable, blobs: MemoryBlobs) -> None:
    assert inputs.tell(table, blobs, [item(2, (A, ONE))]) == [None]
    assert [table.readable(X, epoch, [ONE, TWO]) for epoch in (1, 2, 3)] == [set(), {ONE}, set()]
    assert table.pinned(X.text, [ONE, TWO]) == {ONE}


def test_a_later_epoch_replaces_it_and_an_earlier_one_is_refused(table: MemoryTable, blobs: MemoryBlobs) -> None:
    inputs.tell(table, blobs, [item(2, (A, ONE))])
    assert inputs.tell(table, blobs, [item(3, (B, TWO))]) == [None]
    assert table.input_paths(X, 3, [A.text, B.text]) == {B.text}
    assert table.readable(X, 2, [ONE, TWO]) == set()
    [refused] = inputs.tell(table, blobs, [item(2, (A, ONE))])
    assert isinstance(refused, Conflict)
    assert refused.metadata == {"epoch": "2", "current_epoch": "3"}


def test_a_repeat_changes_nothing_even_with_other_inputs(table: MemoryTable, blobs: MemoryBlobs) -> None:
    inputs.tell(table, blobs, [item(2, (A, ONE))])
    assert inputs.tell(table, blobs, [item(2, (B, TWO)), item(2)]) == [None, None]
    assert table.input_paths(X, 2, [A.text, B.text]) == {A.text}


def test_an_input_that_is_not_stored_refuses_its_item_whole_and_no_other(
    table: MemoryTable, blobs: MemoryBlobs
) -> None:
    other = ExecutionId("p.y")
    refused, told = inputs.tell(table, blobs, [item(1, (A, ONE), (B, NOWHERE)), item(1, (A, ONE), execution=other)])
    assert isinstance(refused, NotFound)
    assert (refused.reason, refused.metadata) == ("BLOB_UNKNOWN", {"cid": NOWHERE.text})
    assert told is None
    assert table.pinned(X.text, [ONE]) == set()
    assert table.readable(other, 1, [ONE]) == {ONE}


def test_what_is_over_cannot_be_opened_again(table: MemoryTable, blobs: MemoryBlobs) -> None:
    inputs.tell(table, blobs, [item(1, (A, ONE))])
    bindings.abort(table, [Abortion(X, 1)], now=NOW)
    assert table.readable(X, 1, [ONE]) == set()
    [refused] = inputs.tell(table, blobs, [item(1, (A, ONE))])
    assert isinstance(refused, Conflict)
    assert inputs.tell(table, blobs, [item(2, (A, ONE))]) == [None]


def test_an_attempt_without_inputs_closes_those_of_the_one_before(table: MemoryTable, blobs: MemoryBlobs) -> None:
    inputs.tell(table, blobs, [item(1, (A, ONE))])
    assert inputs.tell(table, blobs, [item(2)]) == [None]
    assert table.told([X]) == {}


def test_uploads_are_kept_until_the_attempt_is_over(table: MemoryTable, blobs: MemoryBlobs) -> None:
    assert inputs.keep(table, blobs, grant(1), [ONE, TWO]) == [None, None]
    assert table.readable(X, 1, [ONE, TWO]) == {ONE, TWO}
    bindings.commit(table, [Commitment(W, P, X, 1, "b3:receipt", ())], now=NOW)
    assert table.readable(X, 1, [ONE, TWO]) == set()
    with pytest.raises(Conflict) as caught:
        inputs.keep(table, blobs, grant(1), [ONE])
    assert caught.value.reason == "EPOCH_FENCED"
    assert table.pinned(X.text, [ONE]) == set()


def test_an_upload_between_prepare_and_settle_is_kept(table: MemoryTable, blobs: MemoryBlobs) -> None:
    prepared = Preparation(W, P, X, 1, (Output(A, ONE, 3),))
    assert bindings.prepare(table, blobs, [prepared], now=NOW) == [None]
    assert inputs.keep(table, blobs, grant(1), [TWO]) == [None]


def test_whoever_was_overtaken_brings_nothing(table: MemoryTable, blobs: MemoryBlobs) -> None:
    bindings.prepare(table, blobs, [Preparation(W, P, X, 2, (Output(A, ONE, 3),))], now=NOW)
    with pytest.raises(Conflict):
        inputs.keep(table, blobs, grant(1), [TWO])
    inputs.keep(table, blobs, grant(3), [TWO])
