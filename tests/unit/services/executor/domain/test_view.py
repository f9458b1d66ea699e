"""The tests of services/executor/domain/view.py."""

import pytest

from services.executor.domain.view import AttemptView
from tests.embedded import Embedded
from tests.peers import peers_of
from theory.core.artifact import Output
from theory.core.errors import Invalid, NotFound
from theory.core.world_path import WorldName, WorldPath

pytestmark = pytest.mark.asyncio(loop_scope="module")

_WORLD = WorldName.parse("seen")
_BOUND, _WRITTEN, _NOTHING = (WorldPath(f"/artifacts/{name}") for name in ("bound", "written", "nothing"))


async def _view(theory: Embedded) -> AttemptView:
    """A bound path, and one that the attempt is about to bind."""
    await theory.theory.artifacts.put_bytes(_WORLD, _BOUND, b"bound")
    cid = await theory.theory.artifacts.put_blob(b"written")
    return AttemptView(peers_of(theory).world, _WORLD, [Output(_WRITTEN, cid, 7)], ())


async def test_what_is_bound_and_what_is_about_to_be_are_both_there(theory: Embedded) -> None:
    view = await _view(theory)
    assert [await view.exists(path) for path in (_BOUND, _WRITTEN, _NOTHING)] == [True, True, False]
    assert (await view.read(_BOUND, 100), await view.read(_WRITTEN, 100)) == (b"bound", b"written")


async def test_nobody_else_sees_what_is_about_to_be_bound(theory: Embedded) -> None:
    await _view(theory)
    assert not await AttemptView(peers_of(theory).world, _WORLD, (), ()).exists(_WRITTEN)


async def test_what_is_not_there_cannot_be_read(theory: Embedded) -> None:
    with pytest.raises(NotFound) as caught:
        await (await _view(theory)).read(_NOTHING, 100)
    assert (caught.value.reason, caught.value.metadata) == ("ARTIFACT_UNKNOWN", {"path": "/artifacts/nothing"})


@pytest.mark.parametrize("path", [_BOUND, _WRITTEN])
async def test_what_is_too_large_is_not_read(theory: Embedded, path: WorldPath) -> None:
    with pytest.raises(Invalid) as caught:
        await (await _view(theory)).read(path, 4)
    assert (caught.value.reason, caught.value.metadata) == ("BLOB_TOO_LARGE", {"path": path.text, "max_bytes": "4"})


async def test_of_streams_it_sees_the_chunks_that_are_read_and_no_others(theory: Embedded) -> None:
    read, other = (WorldPath(f"/streams/seen/{idx:019d}") for idx in (0, 1))
    await theory.theory.streams.append_many(_WORLD.text, "/streams/seen", [b"frame", b"other"])
    cid = await theory.theory.artifacts.put_blob(b"frame")
    view = AttemptView(peers_of(theory).world, _WORLD, (), [(read, cid)])
    assert [await view.exists(path) for path in (read, other)] == [True, False]
    assert await view.read(read, 5) == b"frame"
    with pytest.raises(Invalid, match="more than 4 bytes"):
        await view.read(read, 4)
    with pytest.raises(NotFound):
        await view.read(other, 100)
