"""One set of places over two."""

from pathlib import Path

from services.executor.adapters.places import DirectoryPlaces, MemoryPlaces, RoutedPlaces
from services.executor.ports.place import PlaceRequest


async def test_each_place_is_where_its_request_wants_it(places: DirectoryPlaces, tmp_path: Path) -> None:
    routed = RoutedPlaces(places, MemoryPlaces())
    one = await routed.prepare(PlaceRequest("disk-a0", (), {}, 100, 2), b"{}")
    two = await routed.prepare(PlaceRequest("memory-a0", (), {}, 100, 2, in_memory=True), b"{}")
    (one.out / "artifacts").mkdir()
    (one.out / "artifacts" / "a").write_bytes(b"1")
    routed.memory.fill(two.name, {"artifacts/b": b"2"})
    found = []
    for place in (one, two):
        async with routed.written(place) as tree:
            found += [each.file.read() async for each in tree.files()]
    assert found == [b"1", b"2"]
    await routed.remove("disk-a0")
    await routed.remove("memory-a0")
    assert not one.directory.exists()
    assert not routed.memory.holds("memory-a0")


async def test_sweeping_reaches_both(places: DirectoryPlaces) -> None:
    routed = RoutedPlaces(places, MemoryPlaces())
    for name in ("a-a0", "b-a0"):
        await routed.prepare(PlaceRequest(name, (), {}, 100, 2), b"{}")
        await routed.prepare(PlaceRequest(f"m-{name}", (), {}, 100, 2, in_memory=True), b"{}")
    assert set(await routed.sweep(frozenset({"b-a0", "m-b-a0"}))) == {"a-a0", "m-a-a0"}
