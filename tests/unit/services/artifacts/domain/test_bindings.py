"""What may be bound, reserved, committed and aborted, and what may not."""

from datetime import UTC, datetime, timedelta

import pytest

from services.artifacts.adapters.bindings.memory import MemoryTable
from services.artifacts.adapters.blobs.memory import MemoryBlobs
from services.artifacts.domain import bindings
from services.artifacts.domain.bindings import Write, Written
from services.artifacts.ports import PathKey
from theory.core.artifact import Output
from theory.core.binding import Abortion, Commitment, Preparation
from theory.core.cid import Cid
from theory.core.errors import AlreadyExists, Conflict, Invalid, NotFound, NotReady, TheoryError
from theory.core.ids import ExecutionId, PlanId
from theory.core.world_path import WorldName, WorldPath

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
ONE, TWO = b"one", b"other"
PLAN = PlanId("p-1")


class Store:
    """A table and blobs, spoken to in few words."""

    def __init__(self) -> None:
        self.table = MemoryTable()
        self.blobs = MemoryBlobs()
        for data in (ONE, TWO):
            self.blobs.data_by_cid[Cid.of(data)] = data

    def bind(
        self, path: str, data: bytes = ONE, *, world: str = "w", now: datetime = NOW, plan_id: PlanId | None = None
    ) -> Written | TheoryError:
        write = Write(WorldName(world), WorldPath.parse(path), Cid.of(data), "text/plain", plan_id)
        (result,) = bindings.bind(self.table, self.blobs, [write], now=now)
        return result

    def prepare(self, execution: str, epoch: int, *paths: str, data: bytes = ONE) -> TheoryError | None:
        (result,) = bindings.prepare(
            self.table, self.blobs, [preparation(execution, epoch, *paths, data=data)], now=NOW
        )
        return result

    def commit(self, execution: str, epoch: int, *paths: str, data: bytes = ONE) -> TheoryError | None:
        ready = preparation(execution, epoch, *paths, data=data)
        item = Commitment(ready.world, PLAN, ready.execution_id, epoch, "b3:receipt", ready.outputs)
        (result,) = bindings.commit(self.table, [item], now=LATER)
        return result

    def abort(self, execution: str, epoch: int) -> None:
        bindings.abort(self.table, [Abortion(ExecutionId(execution), epoch)], now=LATER)

    def owner_of(self, path: str) -> str | None:
        """Who holds a path: `bound`, an execution, or nobody."""
        hold = self.table.holds([PathKey("w", path)]).get(PathKey("w", path))
        return None if hold is None else hold.owner or "bound"


def preparation(execution: str, epoch: int, *paths: str, data: bytes = ONE) -> Preparation:
    outputs = tuple(Output(WorldPath.parse(path), Cid.of(data), len(data)) for path in paths)
    return Preparation(WorldName("w"), PLAN, ExecutionId(execution), epoch, outputs)


@pytest.fixture
def store() -> Store:
    return Store()


def refused(result: object, kind: type[TheoryError], reason: str) -> dict[str, str]:
    assert isinstance(result, kind)
    assert result.reason == reason
    return result.metadata


# Direct writes


def test_a_free_path_is_bound(store: Store) -> None:
    result = store.bind("/artifacts/a")
    assert isinstance(result, Written)
    assert (result.created, result.artifact.cid, result.artifact.size_bytes) == (True, Cid.of(ONE), 3)


def test_the_same_bytes_again_change_nothing(store: Store) -> None:
    first = store.bind("/artifacts/a")
    again = store.bind("/artifacts/a", now=LATER)
    assert isinstance(first, Written)
    assert again == Written(first.artifact, created=False)


def test_other_bytes_are_refused_and_the_bound_cid_is_named(store: Store) -> None:
    store.bind("/artifacts/a")
    assert refused(store.bind("/artifacts/a", TWO), AlreadyExists, "PATH_BOUND")["cid"] == Cid.of(ONE).text


def test_another_world_is_another_path(store: Store) -> None:
    store.bind("/artifacts/a")
    assert isinstance(store.bind("/artifacts/a", TWO, world="x"), Written)


def test_a_cid_that_is_not_stored_is_not_bound(store: Store) -> None:
    assert refused(store.bind("/artifacts/a", b"nowhere"), NotFound, "BLOB_UNKNOWN") == {"cid": Cid.of(b"nowhere").text}
    assert store.owner_of("/artifacts/a") is None


@pytest.mark.parametrize(
    ("first", "second"), [("/artifacts/a/b", "/artifacts/a"), ("/artifacts/a", "/artifacts/a/b/c")]
)
def test_a_path_is_never_a_file_and_a_folder(store: Store, first: str, second: str) -> None:
    store.bind(first)
    assert refused(store.bind(second), AlreadyExists, "PATH_SHADOWED") == {"path": second, "other": first}


@pytest.mark.parametrize(
    "neighbour", ["/artifacts/a.b", "/artifacts/a-b", "/artifacts/a0", "/artifacts/ab", "/artifacts/a b"]
)
def test_a_longer_name_is_no_folder_of_a_shorter_one(store: Store, neighbour: str) -> None:
    store.bind(neighbour)
    store.bind(neighbour + "/c", world="x")
    assert isinstance(store.bind("/artifacts/a"), Written)
    assert isinstance(store.bind("/artifacts/a", world="x"), Written)


def test_a_reserved_path_refuses_a_direct_write_of_the_same_bytes(store: Store) -> None:
    store.prepare("x", 1, "/artifacts/a")
    assert refused(store.bind("/artifacts/a"), Conflict, "PATH_RESERVED")["execution_id"] == "x"


def test_what_is_merely_reserved_shadows_only_for_now(store: Store) -> None:
    store.prepare("x", 1, "/artifacts/a/b")
    assert refused(store.bind("/artifacts/a"), Conflict, "PATH_RESERVED")["other"] == "/artifacts/a/b"
    store.abort("x", 1)
    assert isinstance(store.bind("/artifacts/a"), Written)


def test_a_batch_decides_its_items_one_after_the_other(store: Store) -> None:
    world, first, second = WorldName("w"), WorldPath("/artifacts/a"), WorldPath("/artifacts/a/b")
    writes = [
        Write(world, first, Cid.of(ONE), "text/plain", None),
        Write(world, first, Cid.of(ONE), "text/plain", None),
        Write(world, first, Cid.of(TWO), "text/plain", None),
        Write(world, second, Cid.of(ONE), "text/plain", None),
    ]
    results = bindings.bind(store.table, store.blobs, writes, now=NOW)
    assert [each.created if isinstance(each, Written) else each.reason for each in results] == [
        True,
        False,
        "PATH_BOUND",
        "PATH_SHADOWED",
    ]


def test_a_folder_made_in_a_batch_shadows_later_items_of_it(store: Store) -> None:
    world = WorldName("w")
    writes = [
        Write(world, WorldPath("/artifacts/a/b/c"), Cid.of(ONE), "text/plain", None),
        Write(world, WorldPath("/artifacts/a"), Cid.of(ONE), "text/plain", None),
    ]
    _, second = bindings.bind(store.table, store.blobs, writes, now=NOW)
    refused(second, AlreadyExists, "PATH_SHADOWED")


def test_a_new_binding_is_recorded_once_in_the_chain_of_its_plan(store: Store) -> None:
    store.bind("/artifacts/a", plan_id=PLAN)
    store.bind("/artifacts/a", plan_id=PLAN)
    store.bind("/artifacts/b")
    first, second = store.table.events
    assert (first.plan_id, second.plan_id) == ("p-1", "system.artifacts")
    assert first.event.kind == "artifact.written"
    assert first.event.body == {"world": "w", "path": "/artifacts/a", "cid": Cid.of(ONE).text, "size": 3}


def test_the_event_of_a_path_has_the_same_id_wherever_it_is_made() -> None:
    ids = []
    for world, path in (("w", "/artifacts/a"), ("w", "/artifacts/a"), ("x", "/artifacts/a"), ("w", "/artifacts/b")):
        store = Store()
        store.bind(path, world=world)
        ids.append(store.table.events[0].event.event_id)
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


# Prepare


def test_prepared_paths_are_reserved_and_not_bound(store: Store) -> None:
    assert store.prepare("x", 1, "/artifacts/a", "/artifacts/b") is None
    assert [store.owner_of(path) for path in ("/artifacts/a", "/artifacts/b")] == ["x", "x"]


def test_all_outputs_are_reserved_or_none(store: Store) -> None:
    store.bind("/artifacts/b", TWO)
    refused(store.prepare("x", 1, "/artifacts/a", "/artifacts/b"), AlreadyExists, "PATH_BOUND")
    assert store.owner_of("/artifacts/a") is None


def test_an_output_without_its_blob_refuses_the_item(store: Store) -> None:
    refused(store.prepare("x", 1, "/artifacts/a", data=b"nowhere"), NotFound, "BLOB_UNKNOWN")


def test_an_output_of_another_length_than_its_blob_is_refused(store: Store) -> None:
    output = Output(WorldPath("/artifacts/a"), Cid.of(ONE), 4)
    item = Preparation(WorldName("w"), PLAN, ExecutionId("x"), 1, (output,))
    (result,) = bindings.prepare(store.table, store.blobs, [item], now=NOW)
    assert refused(result, Invalid, "SIZE_MISMATCH")["actual"] == "3"


def test_a_path_bound_to_the_same_bytes_is_as_good_as_reserved(store: Store) -> None:
    store.bind("/artifacts/a")
    assert store.prepare("x", 1, "/artifacts/a") is None
    assert store.prepare("y", 1, "/artifacts/a") is None
    assert store.commit("x", 1, "/artifacts/a") is None


def test_a_reserved_path_refuses_another_execution(store: Store) -> None:
    store.prepare("x", 1, "/artifacts/a")
    refused(store.prepare("y", 1, "/artifacts/a"), Conflict, "PATH_RESERVED")


@pytest.mark.parametrize(("first", "second"), [("/artifacts/a/b", "/artifacts/a"), ("/artifacts/a", "/artifacts/a/b")])
def test_a_reserved_path_refuses_what_would_shadow_it(store: Store, first: str, second: str) -> None:
    store.prepare("x", 1, first)
    refused(store.prepare("y", 1, second), Conflict, "PATH_RESERVED")


def test_a_bound_path_refuses_what_would_shadow_it(store: Store) -> None:
    store.bind("/artifacts/a")
    refused(store.prepare("x", 1, "/artifacts/a/b"), AlreadyExists, "PATH_SHADOWED")


def test_outputs_of_one_attempt_may_not_shadow_each_other(store: Store) -> None:
    refused(store.prepare("x", 1, "/artifacts/a", "/artifacts/a/b"), AlreadyExists, "PATH_SHADOWED")


def test_outputs_of_one_attempt_name_each_path_once(store: Store) -> None:
    refused(store.prepare("x", 1, "/artifacts/a", "/artifacts/a"), Invalid, "FIELD_INVALID")


def test_a_repeat_changes_nothing(store: Store) -> None:
    store.prepare("x", 1, "/artifacts/a")
    before = store.table.open_fences(LATER, 10)
    assert store.prepare("x", 1, "/artifacts/a") is None
    assert store.table.open_fences(LATER, 10) == before


def test_a_higher_epoch_replaces_the_reservations_of_lower_ones(store: Store) -> None:
    store.prepare("x", 1, "/artifacts/a/b", "/artifacts/c")
    assert store.prepare("x", 2, "/artifacts/a", data=TWO) is None
    assert [store.owner_of(path) for path in ("/artifacts/a", "/artifacts/a/b", "/artifacts/c")] == ["x", None, None]


def test_a_lower_epoch_is_fenced(store: Store) -> None:
    store.prepare("x", 2, "/artifacts/a")
    assert refused(store.prepare("x", 1, "/artifacts/b"), Conflict, "EPOCH_FENCED")["current_epoch"] == "2"
    assert store.owner_of("/artifacts/b") is None


def test_the_same_epoch_with_other_outputs_is_refused(store: Store) -> None:
    store.prepare("x", 1, "/artifacts/a")
    refused(store.prepare("x", 1, "/artifacts/b"), Conflict, "EPOCH_FENCED")
    refused(store.prepare("x", 1, "/artifacts/a", data=TWO), Conflict, "EPOCH_FENCED")
    assert store.owner_of("/artifacts/a") == "x"


def test_a_refused_prepare_keeps_the_reservation_of_the_lower_epoch(store: Store) -> None:
    store.bind("/artifacts/b", TWO)
    store.prepare("x", 1, "/artifacts/a")
    refused(store.prepare("x", 2, "/artifacts/b"), AlreadyExists, "PATH_BOUND")
    assert store.owner_of("/artifacts/a") == "x"


def test_executions_of_one_batch_are_in_each_others_way_in_order(store: Store) -> None:
    items = [
        preparation("x", 1, "/artifacts/a"),
        preparation("y", 1, "/artifacts/a"),
        preparation("z", 1, "/artifacts/a/b"),
        preparation("v", 1, "/artifacts/c"),
    ]
    results = bindings.prepare(store.table, store.blobs, items, now=NOW)
    assert [each and each.reason for each in results] == [None, "PATH_RESERVED", "PATH_RESERVED", None]


def test_two_epochs_of_an_execution_in_one_batch_leave_the_higher_one(store: Store) -> None:
    items = [
        preparation("x", 1, "/artifacts/a/b"),
        preparation("x", 2, "/artifacts/a"),
        preparation("x", 1, "/artifacts/c"),
    ]
    results = bindings.prepare(store.table, store.blobs, items, now=NOW)
    assert [each and each.reason for each in results] == [None, None, "EPOCH_FENCED"]
    assert [store.owner_of(path) for path in ("/artifacts/a", "/artifacts/a/b", "/artifacts/c")] == ["x", None, None]


def test_a_path_that_a_batch_frees_may_be_taken_later_in_it(store: Store) -> None:
    store.prepare("x", 1, "/artifacts/a")
    items = [preparation("x", 2, "/artifacts/b"), preparation("y", 1, "/artifacts/a")]
    assert bindings.prepare(store.table, store.blobs, items, now=NOW) == [None, None]
    assert store.owner_of("/artifacts/a") == "y"


def test_an_attempt_without_outputs_reserves_nothing_and_fences_lower_epochs(store: Store) -> None:
    assert store.prepare("x", 2) is None
    assert store.table.open_fences(LATER, 10) == []
    refused(store.prepare("x", 1, "/artifacts/a"), Conflict, "EPOCH_FENCED")


# Commit


def test_a_commit_binds_what_was_prepared(store: Store) -> None:
    store.prepare("x", 1, "/artifacts/a")
    assert store.commit("x", 1, "/artifacts/a") is None
    assert store.owner_of("/artifacts/a") == "bound"


def test_the_create_time_is_when_it_was_bound(store: Store) -> None:
    store.prepare("x", 1, "/artifacts/a")
    store.commit("x", 1, "/artifacts/a")
    assert store.table.holds([PathKey("w", "/artifacts/a")])[PathKey("w", "/artifacts/a")].time == LATER


def test_a_repeated_commit_changes_nothing(store: Store) -> None:
    store.prepare("x", 1, "/artifacts/a")
    assert [store.commit("x", 1, "/artifacts/a"), store.commit("x", 1, "/artifacts/a")] == [None, None]


def test_a_commit_drops_what_the_receipt_does_not_name(store: Store) -> None:
    store.prepare("x", 1, "/artifacts/a", "/artifacts/b")
    store.commit("x", 1, "/artifacts/a")
    assert store.owner_of("/artifacts/b") is None


def test_a_commit_of_nothing_drops_the_reservation(store: Store) -> None:
    store.prepare("x", 1, "/artifacts/a")
    assert store.commit("x", 2) is None
    assert store.owner_of("/artifacts/a") is None


def test_an_output_that_was_never_prepared_is_refused(store: Store) -> None:
    assert refused(store.commit("x", 1, "/artifacts/a"), NotReady, "BINDING_UNPREPARED")["execution_id"] == "x"


def test_an_output_of_another_epoch_is_refused_and_nothing_of_the_item_is_bound(store: Store) -> None:
    store.prepare("x", 2, "/artifacts/a", "/artifacts/b")
    refused(store.commit("x", 1, "/artifacts/a"), NotReady, "BINDING_UNPREPARED")
    assert store.owner_of("/artifacts/a") == "x"


def test_an_output_with_other_bytes_than_prepared_is_refused(store: Store) -> None:
    store.prepare("x", 1, "/artifacts/a")
    refused(store.commit("x", 1, "/artifacts/a", data=TWO), NotReady, "BINDING_UNPREPARED")


def test_an_output_that_another_execution_holds_is_refused(store: Store) -> None:
    store.prepare("y", 1, "/artifacts/a")
    refused(store.commit("x", 1, "/artifacts/a"), NotReady, "BINDING_UNPREPARED")
    assert store.owner_of("/artifacts/a") == "y"


def test_an_output_bound_to_other_bytes_is_refused(store: Store) -> None:
    store.bind("/artifacts/a", TWO)
    refused(store.commit("x", 1, "/artifacts/a"), AlreadyExists, "PATH_BOUND")


def test_a_commit_records_no_event_for_the_ledger_has_it(store: Store) -> None:
    store.prepare("x", 1, "/artifacts/a")
    store.commit("x", 1, "/artifacts/a")
    assert store.table.events == []


def test_a_prepare_that_arrives_after_the_commit_is_fenced(store: Store) -> None:
    store.prepare("x", 2, "/artifacts/a")
    store.commit("x", 2, "/artifacts/a")
    refused(store.prepare("x", 1, "/artifacts/b"), Conflict, "EPOCH_FENCED")
    refused(store.prepare("x", 2, "/artifacts/b"), Conflict, "EPOCH_FENCED")


def test_a_prepare_repeated_after_the_commit_finds_its_work_done(store: Store) -> None:
    store.prepare("x", 1, "/artifacts/a")
    store.commit("x", 1, "/artifacts/a")
    assert store.prepare("x", 1, "/artifacts/a") is None
    assert store.owner_of("/artifacts/a") == "bound"


# Abort


def test_an_abort_frees_the_paths(store: Store) -> None:
    store.prepare("x", 1, "/artifacts/a")
    store.abort("x", 1)
    assert store.owner_of("/artifacts/a") is None
    assert store.prepare("y", 1, "/artifacts/a") is None


def test_an_abort_leaves_higher_epochs_and_bound_paths_alone(store: Store) -> None:
    store.prepare("x", 1, "/artifacts/a")
    store.commit("x", 1, "/artifacts/a")
    store.prepare("y", 2, "/artifacts/b")
    store.abort("x", 1)
    store.abort("y", 1)
    assert [store.owner_of(path) for path in ("/artifacts/a", "/artifacts/b")] == ["bound", "y"]


def test_a_prepare_that_arrives_after_its_abort_is_fenced(store: Store) -> None:
    store.abort("x", 1)
    refused(store.prepare("x", 1, "/artifacts/a"), Conflict, "EPOCH_FENCED")
    assert store.prepare("x", 2, "/artifacts/a") is None


def test_a_commit_after_an_abort_is_refused(store: Store) -> None:
    store.prepare("x", 1, "/artifacts/a")
    store.abort("x", 1)
    refused(store.commit("x", 1, "/artifacts/a"), NotReady, "BINDING_UNPREPARED")
