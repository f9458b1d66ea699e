"""A batch's view of the table: what it sees of itself, and what it writes back."""

from datetime import UTC, datetime

import pytest

from services.artifacts.adapters.bindings.memory import MemoryTable
from services.artifacts.domain.holdings import Holdings, folders_of
from services.artifacts.ports import Fence, Hold, PathKey
from theory.core.cid import Cid
from theory.core.ids import ExecutionId

NOW = datetime(2026, 1, 1, tzinfo=UTC)
A = PathKey("w", "/artifacts/a")
BELOW_A = PathKey("w", "/artifacts/a/b")


def hold(key: PathKey, owner: str | None) -> Hold:
    return Hold(key, Cid.of(b""), 0, "text/plain", NOW, owner)


@pytest.mark.parametrize(
    ("path", "folders"),
    [
        ("/artifacts/a", []),
        ("/artifacts/a/b", ["/artifacts/a"]),
        ("/artifacts/a/b/c", ["/artifacts/a/b", "/artifacts/a"]),
    ],
)
def test_the_folders_of_a_path_are_its_ancestors_below_the_facet(path: str, folders: list[str]) -> None:
    assert [key.path for key in folders_of(PathKey("w", path))] == folders


def test_nothing_is_written_before_write() -> None:
    table = MemoryTable()
    view = Holdings.of_claims(table, [("x", A)])
    view.reserve(hold(A, "x"))
    assert table.holds([A]) == {}
    view.write(table)
    assert table.holds([A]) == {A: hold(A, "x")}


def test_a_view_without_changes_writes_nothing() -> None:
    table = MemoryTable()
    Holdings.of_claims(table, [("x", A)]).write(table)
    table.undo()
    assert table.holds([A]) == {}


def test_what_is_reserved_and_released_in_one_batch_is_never_written() -> None:
    table = MemoryTable()
    view = Holdings.of_claims(table, [("x", A)])
    view.reserve(hold(A, "x"))
    view.release(ExecutionId("x"))
    view.write(table)
    assert (view.at(A), table.holds([A])) == (None, {})


def test_a_released_path_shadows_nothing_any_more() -> None:
    view = Holdings.of_claims(MemoryTable(), [("x", BELOW_A), ("y", A)])
    view.reserve(hold(BELOW_A, "x"))
    assert view.shadow(A, "y") == hold(BELOW_A, "x")
    view.release(ExecutionId("x"))
    assert view.shadow(A, "y") is None


def test_ones_own_reservations_shadow_nothing() -> None:
    table = MemoryTable()
    table.reserve([hold(BELOW_A, "x")])
    view = Holdings.of_claims(table, [("x", A), ("y", A)])
    assert view.shadow(A, "x") is None
    assert view.shadow(A, "y") == hold(BELOW_A, "x")


def test_binding_a_reserved_path_keeps_it_from_being_released() -> None:
    table = MemoryTable()
    table.reserve([hold(A, "x"), hold(BELOW_A._replace(world="v"), "x")])
    view = Holdings.of_paths(table, [A], [ExecutionId("x")])
    view.bind(hold(A, None))
    view.release(ExecutionId("x"))
    view.write(table)
    assert table.holds([A, BELOW_A._replace(world="v")]) == {A: hold(A, None)}


def test_a_fence_that_was_remembered_is_seen_and_written() -> None:
    table = MemoryTable()
    view = Holdings.of_paths(table, [], [ExecutionId("x")])
    assert view.fence_of(ExecutionId("x")) is None
    fence = Fence(ExecutionId("x"), None, None, 3, open=False, time=NOW)
    view.remember(fence)
    view.write(table)
    assert view.fence_of(ExecutionId("x")) == fence
    assert table.fences([ExecutionId("x")]) == {ExecutionId("x"): fence}
