"""Places in memory: the same promises as far as they apply."""

import pytest

from services.executor.adapters.places import MemoryPlaces
from services.executor.ports.place import PlaceRequest
from theory.core.errors import Corrupt, Invalid


def _request(name: str = "plan.step-a0") -> PlaceRequest:
    return PlaceRequest(name, (), {}, max_output_bytes=100, max_output_files=2, in_memory=True)


async def test_what_was_filled_in_is_collected_in_order() -> None:
    places = MemoryPlaces()
    place = await places.prepare(_request(), b"{}")
    places.fill(place.name, {"result.json": b"{}", "artifacts/b": b"2", "artifacts/a": b"1"})
    async with places.written(place) as tree:
        found = [(each.relative, each.file.read(), each.size_bytes) async for each in tree.files()]
    assert found == [("artifacts/a", b"1", 1), ("artifacts/b", b"2", 1), ("result.json", b"{}", 2)]


async def test_a_place_that_is_found_keeps_what_was_written() -> None:
    places = MemoryPlaces()
    place = await places.prepare(_request(), b"{}")
    places.fill(place.name, {"artifacts/a": b"1"})
    await places.prepare(_request(), b"{}")
    async with places.written(place) as tree:
        assert [each.relative async for each in tree.files()] == ["artifacts/a"]


@pytest.mark.parametrize(
    ("files", "rule"),
    [({"artifacts/a": bytes(101)}, "too_large"), ({f"artifacts/{n}": b"" for n in range(4)}, "too_many_files")],
)
async def test_the_limits_hold(files: dict[str, bytes], rule: str) -> None:
    places = MemoryPlaces()
    place = await places.prepare(_request(), b"{}")
    places.fill(place.name, files)
    async with places.written(place) as tree:
        with pytest.raises(Invalid) as caught:
            await anext(aiter(tree.files()))
    assert caught.value.metadata["rule"] == rule


async def test_a_place_is_gone_once_it_was_removed() -> None:
    places = MemoryPlaces()
    place = await places.prepare(_request(), b"{}")
    await places.remove(place.name)
    await places.remove(place.name)
    assert not places.holds(place.name)
    with pytest.raises(Corrupt):
        async with places.written(place):
            pytest.fail("it is gone")


async def test_sweeping_keeps_what_is_named() -> None:
    places = MemoryPlaces()
    for name in ("a-a0", "b-a0", "c-a0"):
        await places.prepare(_request(name), b"{}")
    assert await places.sweep(frozenset({"b-a0"})) == ("a-a0", "c-a0")
    assert [places.holds(name) for name in ("a-a0", "b-a0", "c-a0")] == [False, True, False]
