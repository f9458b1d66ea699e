"""The store as an attempt sees it."""

import pytest

from services.artifacts.adapters.bindings.memory import MemoryBindings
from services.artifacts.adapters.blobs.memory import MemoryBlobs
from services.artifacts.domain.artifacts import Artifacts, NewArtifact
from services.artifacts.domain.attempts import Attempts, AttemptView
from services.artifacts.domain.store import BlobStore, NewBlob
from tests.leases import leases_of
from theory.core.artifact import Artifact, Output
from theory.core.binding import Abortion, AttemptInputs, Preparation
from theory.core.cid import Cid
from theory.core.clock import FakeClock
from theory.core.errors import Conflict, Denied, NotFound, TheoryError
from theory.core.grant import AttemptGrant
from theory.core.ids import ExecutionId, PlanId
from theory.core.selector import Selector
from theory.core.world_path import PathPrefix, WorldName, WorldPath

W, P, X = WorldName("w"), PlanId("p"), ExecutionId("p.x")
INPUT, SECRET, NOWHERE = Cid.of(b"input"), Cid.of(b"secret"), Cid.of(b"nowhere")
READ, OTHER = WorldPath("/artifacts/in/a"), WorldPath("/artifacts/in/b")
OUT = WorldPath("/artifacts/out/a")


class Store:
    """A store that holds an input of the attempt, and a secret of somebody else."""

    def __init__(self) -> None:
        clock, index = FakeClock(), MemoryBlobs()
        self.table = MemoryBindings(clock)
        leases = leases_of(index, self.table, clock)
        self.blobs = BlobStore(index, leases, max_blob_bytes=1 << 20)
        self.artifacts = Artifacts(self.blobs, index, leases, self.table, clock)
        self.attempts = Attempts(self.blobs, self.artifacts, index, self.table, clock)

    def view(self, epoch: int = 1, execution: ExecutionId = X) -> AttemptView:
        return self.attempts.view(AttemptGrant(P, W, execution, 0, epoch, (Selector.parse("/artifacts/out/**"),)))


@pytest.fixture
async def store() -> Store:
    store = Store()
    new = [NewArtifact(READ, NewBlob(b"input"), "text/plain"), NewArtifact(OTHER, NewBlob(b"secret"), "text/plain")]
    await store.artifacts.put_many(W, None, new)
    assert await store.attempts.tell_many([AttemptInputs(W, P, X, 1, ((READ, INPUT),))]) == [None]
    return store


def preparation(
    path: WorldPath = OUT, data: bytes = b"mine", epoch: int = 1, execution: ExecutionId = X
) -> Preparation:
    return Preparation(W, P, execution, epoch, (Output(path, Cid.of(data), len(data)),))


def same(one: object, other: object) -> bool:
    """Whether two answers differ in nothing but the name that was asked for."""
    if not isinstance(one, TheoryError) or not isinstance(other, TheoryError):
        return False
    return (type(one), one.reason, one.message, one.metadata.keys()) == (
        type(other), other.reason, other.message, other.metadata.keys()
    )  # fmt: skip


async def test_its_inputs_are_there(store: Store) -> None:
    view = store.view()
    [found] = await view.stat_many(W, [READ])
    assert isinstance(found, Artifact)
    assert await view.read_many(W, [READ]) == [(found, b"input")]
    assert await view.get_many([INPUT]) == [b"input"]
    assert [each.path for each in await view.page(W, None, after="", limit=10)] == [READ]
    assert await view.find_missing([INPUT]) == []
    async with view.download(INPUT, offset=0, limit=0) as download:
        assert b"".join([chunk async for chunk in download.chunks]) == b"input"


async def test_what_is_not_its_own_is_answered_like_what_does_not_exist(store: Store) -> None:
    view = store.view()
    there, absent = await view.get_many([SECRET, NOWHERE])
    assert same(there, absent)
    bound, free = await view.stat_many(W, [OTHER, WorldPath("/artifacts/in/c")])
    assert same(bound, free)
    bound_read, free_read = await view.read_many(W, [OTHER, WorldPath("/artifacts/in/c")])
    assert same(bound_read, free_read)
    refusals = []
    for cid in (SECRET, NOWHERE):
        with pytest.raises(NotFound) as caught:
            async with view.download(cid, offset=0, limit=0):
                pass
        refusals.append(caught.value)
    assert same(*refusals)


async def test_the_errors_are_those_of_the_store_itself(store: Store) -> None:
    [ours] = await store.view().get_many([NOWHERE])
    [theirs] = await store.blobs.get_many([NOWHERE])
    assert same(ours, theirs)
    [ours_at] = await store.view().stat_many(W, [OTHER])
    [theirs_at] = await store.artifacts.stat_many(W, [WorldPath("/artifacts/in/c")])
    assert same(ours_at, theirs_at)


async def test_it_has_to_bring_what_it_cannot_show_to_have(store: Store) -> None:
    view = store.view()
    assert await view.find_missing([SECRET, INPUT, NOWHERE, SECRET]) == [SECRET, NOWHERE]
    assert await view.put_many([NewBlob(b"secret")]) == [SECRET]
    assert await view.find_missing([SECRET, NOWHERE]) == [NOWHERE]
    assert await view.get_many([SECRET]) == [b"secret"]
    assert isinstance((await store.view(execution=ExecutionId("p.y")).get_many([SECRET]))[0], NotFound)


async def test_a_large_upload_is_its_own_once_it_is_whole(store: Store) -> None:
    view = store.view()
    async with view.upload(expected=None, size_bytes=4) as upload:
        await upload.write(b"mi")
        await upload.write(b"ne")
        assert isinstance((await view.get_many([Cid.of(b"mine")]))[0], NotFound)
        assert await upload.commit() == (Cid.of(b"mine"), 4)
    assert await view.get_many([Cid.of(b"mine")]) == [b"mine"]


async def test_an_upload_that_is_refused_gives_nothing(store: Store) -> None:
    view = store.view()
    [refused] = await view.put_many([NewBlob(b"wrong", SECRET)])
    assert isinstance(refused, TheoryError)
    assert await view.find_missing([SECRET, Cid.of(b"wrong")]) == [SECRET, Cid.of(b"wrong")]


async def test_it_prepares_what_it_brought_and_what_it_reads(store: Store) -> None:
    view = store.view()
    await view.put_many([NewBlob(b"mine")])
    copied = WorldPath("/artifacts/out/copy")
    item = Preparation(W, P, X, 1, (Output(OUT, Cid.of(b"mine"), 4), Output(copied, INPUT, 5)))
    assert await view.prepare_many([item]) == [None]


async def test_a_blob_of_somebody_else_is_refused_like_an_unknown_one(store: Store) -> None:
    view = store.view()
    there, absent = await view.prepare_many([preparation(data=b"secret"), preparation(data=b"nowhere")])
    assert isinstance(there, NotFound)
    assert same(there, absent)


async def test_a_path_that_is_bound_does_not_tell_what_it_is_bound_to(store: Store) -> None:
    bound = NewArtifact(OUT, NewBlob(b"secret"), "text/plain")
    await store.artifacts.put_many(W, None, [bound])
    answers = await store.view().prepare_many([preparation(data=b"secret"), preparation(data=b"nowhere")])
    assert [each.reason for each in answers if each] == ["BLOB_UNKNOWN", "BLOB_UNKNOWN"]


@pytest.mark.parametrize(
    ("item", "field"),
    [
        (preparation(path=WorldPath("/artifacts/out2/a")), "outputs"),
        (preparation(path=WorldPath("/artifacts/out")), "outputs"),
        (preparation(epoch=2), "epoch"),
        (preparation(execution=ExecutionId("p.y")), "execution_id"),
        (Preparation(W, PlanId("q"), X, 1, ()), "plan_id"),
        (Preparation(WorldName("v"), P, X, 1, ()), "world"),
    ],
)
async def test_it_prepares_for_itself_alone(store: Store, item: Preparation, field: str) -> None:
    await store.view().put_many([NewBlob(b"mine")])
    with pytest.raises(Denied) as caught:
        await store.view().prepare_many([item])
    assert (caught.value.reason, caught.value.metadata["field"]) == ("ATTEMPT_DENIED", field)


async def test_another_world_is_closed_to_it(store: Store) -> None:
    view = store.view()
    for asking in (view.stat_many(WorldName("v"), [READ]), view.read_many(WorldName("v"), [READ])):
        with pytest.raises(Denied):
            await asking
    with pytest.raises(Denied):
        await view.page(WorldName("v"), None, after="", limit=1)


async def test_its_listing_is_paged_and_below_a_folder(store: Store) -> None:
    paths = [WorldPath(f"/artifacts/in/{name}") for name in ("a", "c", "d/e")]
    await store.artifacts.put_many(W, None, [NewArtifact(path, NewBlob(b"input"), "text/plain") for path in paths])
    y = ExecutionId("p.y")
    stream = (WorldPath("/streams/s/0"), INPUT)
    told = tuple((path, INPUT) for path in paths)
    assert await store.attempts.tell_many([AttemptInputs(W, P, y, 1, (*told, stream))]) == [None]
    view = store.view(execution=y)
    first = await view.page(W, None, after="", limit=2)
    rest = await view.page(W, None, after=first[-1].path.text, limit=2)
    assert [each.path for each in [*first, *rest]] == paths
    assert [each.path for each in await view.page(W, PathPrefix("/artifacts/in/d/"), after="", limit=9)] == paths[2:]


async def test_once_its_execution_is_settled_nothing_is_open_to_it(store: Store) -> None:
    view = store.view()
    await view.put_many([NewBlob(b"mine")])
    await store.artifacts.abort_many([Abortion(X, 1)])
    assert await view.find_missing([INPUT, Cid.of(b"mine")]) == [INPUT, Cid.of(b"mine")]
    assert await view.page(W, None, after="", limit=1) == []
    for bringing in (view.put_many([NewBlob(b"mine")]), view.keep(Cid.of(b"mine"))):
        with pytest.raises(Conflict) as caught:
            await bringing
        assert caught.value.reason == "EPOCH_FENCED"
    with pytest.raises(Conflict):
        async with view.upload(expected=None, size_bytes=1):
            pass


async def test_an_upload_during_which_its_execution_is_settled_is_not_kept(store: Store) -> None:
    view = store.view()
    async with view.upload(expected=None, size_bytes=4) as upload:
        await upload.write(b"mine")
        await store.artifacts.abort_many([Abortion(X, 1)])
        with pytest.raises(Conflict):
            await upload.commit()
    assert await view.find_missing([Cid.of(b"mine")]) == [Cid.of(b"mine")]


async def test_whoever_was_overtaken_reads_nothing(store: Store) -> None:
    assert await store.attempts.tell_many([AttemptInputs(W, P, X, 2, ((READ, INPUT),))]) == [None]
    assert isinstance((await store.view(1).get_many([INPUT]))[0], NotFound)
    assert await store.view(2).get_many([INPUT]) == [b"input"]
