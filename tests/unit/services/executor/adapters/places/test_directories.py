"""Places as directories: made, found, collected, removed; with mounts and without."""

import os
from pathlib import Path

import pytest

from services.executor.adapters.places import DirectoryPlaces, mount
from services.executor.ports.place import AttemptPlace, PlaceRequest
from tests.unit.services.executor.adapters.places.conftest import Blobs
from tests.unit.theory.world.test_removal import nest
from theory.core.cid import Cid
from theory.core.errors import Invalid, NotFound
from theory.core.secret import Secret
from theory.core.world_path import WorldPath

NAME = "plan-1.render.3-a0"
CANARY = "sk-canary-4711"


def _request(
    *inputs: tuple[str, Cid],
    name: str = NAME,
    secrets: dict[str, str] | None = None,
    max_bytes: int = 100_000,
    volumes: dict[str, str] | None = None,
    verify: bool = False,
) -> PlaceRequest:
    return PlaceRequest(
        name,
        [(WorldPath.parse(path), cid) for path, cid in inputs],
        {each: Secret(each, value) for each, value in (secrets or {}).items()},
        max_output_bytes=max_bytes,
        max_output_files=10,
        volumes=volumes or {},
        verify=verify,
    )


async def _collected(places: DirectoryPlaces, place: AttemptPlace) -> dict[str, bytes]:
    async with places.written(place) as tree:
        return {each.relative: each.file.read() async for each in tree.files()}


async def test_a_place_holds_world_context_and_an_empty_output(places: DirectoryPlaces, blobs: Blobs) -> None:
    place = await places.prepare(_request(("/artifacts/a/b.txt", blobs.add(b"input"))), b'{"seed":1}')
    assert (place.world / "artifacts" / "a" / "b.txt").read_bytes() == b"input"
    assert (place.directory / "context.json").read_bytes() == b'{"seed":1}'
    assert (place.directory / "entrypoint.sh").stat().st_mode & 0o777 == 0o555
    assert list((place.directory / "run").iterdir()) == []
    assert await _collected(places, place) == {}


async def test_a_volume_is_reached_through_the_place_and_outlives_it(places: DirectoryPlaces, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    (volume / "folder").mkdir(parents=True)
    place = await places.prepare(_request(volumes={"shared": str(volume)}), b"{}")
    (place.directory / "volumes" / "shared" / "folder" / "file").write_bytes(b"kept")
    await places.remove(place.name)
    assert not place.directory.exists()
    assert (volume / "folder" / "file").read_bytes() == b"kept"


async def test_only_the_owner_of_the_executor_can_look_into_places(places: DirectoryPlaces) -> None:
    place = await places.prepare(_request(), b"{}")
    assert [each.stat().st_mode & 0o777 for each in (place.directory, place.directory.parent)] == [0o700] * 2


async def test_what_was_written_is_collected(places: DirectoryPlaces) -> None:
    place = await places.prepare(_request(), b"{}")
    (place.out / "artifacts").mkdir()
    (place.out / "artifacts" / "a").write_bytes(b"output")
    assert await _collected(places, place) == {"artifacts/a": b"output"}


async def test_a_complete_place_is_found_as_it_was_left(
    places: DirectoryPlaces, blobs: Blobs, mounts: bool, tmp_path: Path
) -> None:
    request = _request(("/artifacts/a", blobs.add(b"input")), secrets={"KEY": CANARY})
    place = await places.prepare(request, b"{}")
    (place.out / "draft").write_bytes(b"kept")
    # As after a kill: another executor, the same home.
    again = await DirectoryPlaces.open(tmp_path / "home", blobs.download, mounts=mounts)
    found = await again.prepare(request, b"{}")
    assert found == place
    assert await _collected(again, found) == {"draft": b"kept"}
    await again.close()


@pytest.mark.parametrize("lost", [".place", "run"])
async def test_an_incomplete_place_is_made_anew(places: DirectoryPlaces, blobs: Blobs, lost: str, mounts: bool) -> None:
    request = _request(("/artifacts/a", blobs.add(b"input")))
    place = await places.prepare(request, b"{}")
    (place.out / "draft").write_bytes(b"dropped")
    target = place.directory / lost
    target.unlink() if target.is_file() else target.rmdir()
    found = await places.prepare(request, b"{}")
    assert await _collected(places, found) == {}
    assert (found.world / "artifacts" / "a").read_bytes() == b"input"


async def test_a_place_whose_mounts_a_reboot_took_is_made_anew(
    places: DirectoryPlaces, blobs: Blobs, mounts: bool
) -> None:
    if not mounts:
        pytest.skip("there are none")
    request = _request(("/artifacts/a", blobs.add(b"input")))
    place = await places.prepare(request, b"{}")
    mount.unmount_below(place.directory)
    found = await places.prepare(request, b"{}")
    assert {each.name for each in mount.mounted_below(found.directory)} == {"world", "out"}


async def test_the_world_of_a_place_cannot_be_written(places: DirectoryPlaces, blobs: Blobs, mounts: bool) -> None:
    place = await places.prepare(_request(("/artifacts/a", blobs.add(b"input"))), b"{}")
    if not mounts and os.getuid() == 0:
        pytest.skip("modes do not hold root back")
    with pytest.raises(OSError, match=r".*"):
        (place.world / "artifacts" / "a").write_bytes(b"evil")
    with pytest.raises(OSError, match=r".*"):
        (place.world / "artifacts" / "b").touch()


async def test_the_output_cannot_outgrow_its_limit(places: DirectoryPlaces, mounts: bool) -> None:
    place = await places.prepare(_request(max_bytes=100_000), b"{}")
    if mounts:
        with pytest.raises(OSError, match="No space left"):
            (place.out / "large").write_bytes(bytes(4_000_000))
    else:
        (place.out / "large").write_bytes(bytes(4_000_000))
    with pytest.raises(Invalid) as caught:
        await _collected(places, place)
    assert caught.value.metadata["rule"] == "too_large"


async def test_secrets_are_files_in_memory_that_the_processor_alone_can_read(
    places: DirectoryPlaces, mounts: bool, tmp_path: Path
) -> None:
    place = await places.prepare(_request(secrets={"KEY": CANARY, "OTHER": "é\n"}), b"{}")
    folder = place.directory / "run" / "secrets"
    assert {each.name: each.read_text() for each in folder.iterdir()} == {"KEY": CANARY, "OTHER": "é\n"}
    assert [each.stat().st_mode & 0o777 for each in (folder, folder / "KEY")] == [0o500, 0o400]
    assert mount.memory_backed(folder)
    if mounts:
        assert (folder / "KEY").stat().st_uid == 65532


async def test_no_secret_lies_on_the_disk(places: DirectoryPlaces, tmp_path: Path) -> None:
    place = await places.prepare(_request(secrets={"KEY": CANARY}), b"{}")
    mount.unmount_below(place.directory)
    on_disk = [each for each in place.directory.rglob("*") if each.is_file() and not each.is_symlink()]
    assert [each.name for each in on_disk if CANARY.encode() in each.read_bytes()] == []


async def test_nothing_is_left_of_a_removed_place(places: DirectoryPlaces, blobs: Blobs, mounts: bool) -> None:
    place = await places.prepare(_request(("/artifacts/a", blobs.add(b"1")), secrets={"KEY": CANARY}), b"{}")
    values = (place.directory / "run").resolve()
    nest(place.out, 60)
    (place.out / "held open").touch()
    with (place.out / "held open").open("rb"):
        await places.remove(NAME)
    assert not place.directory.exists()
    assert mount.mounted_below(place.directory) == []
    assert not values.exists()
    await places.remove(NAME)


async def test_removing_one_place_leaves_the_blob_to_others(places: DirectoryPlaces, blobs: Blobs) -> None:
    cid = blobs.add(b"shared")
    one = await places.prepare(_request(("/artifacts/a", cid), name="one-a0"), b"{}")
    two = await places.prepare(_request(("/artifacts/b", cid), name="two-a0"), b"{}")
    await places.remove(one.name)
    assert (two.world / "artifacts" / "b").read_bytes() == b"shared"
    assert blobs.downloads == [cid]


async def test_sweeping_removes_every_place_that_is_not_named(places: DirectoryPlaces) -> None:
    for name in ("a-a0", "b-a1", "c-a0"):
        await places.prepare(_request(name=name, secrets={"KEY": CANARY}), b"{}")
    assert await places.sweep(frozenset({"b-a1"})) == ("a-a0", "c-a0")
    assert [each.name for each in places.attempts.iterdir()] == ["b-a1"]


async def test_a_missing_input_leaves_no_place(places: DirectoryPlaces) -> None:
    with pytest.raises(NotFound) as caught:
        await places.prepare(_request(("/artifacts/a", Cid.of(b"never"))), b"{}")
    assert caught.value.reason == "BLOB_UNKNOWN"
    assert list(places.attempts.iterdir()) == []


@pytest.mark.parametrize("name", ["", "..", ".place", "a/b", "a\x00b", "A", "a b", "-a", "é", "a" * 242])
async def test_a_name_that_is_no_attempts_is_refused(places: DirectoryPlaces, name: str) -> None:
    with pytest.raises(Invalid):
        await places.prepare(_request(name=name), b"{}")
    with pytest.raises(Invalid):
        await places.remove(name)


async def test_the_longest_name_of_an_attempt_fits(places: DirectoryPlaces, blobs: Blobs) -> None:
    deep = "/artifacts/" + "/".join(["x" * 100] * 9)
    place = await places.prepare(_request((deep, blobs.add(b"1")), name="p" * 137 + "-a0"), b"{}")
    assert (place.world / deep[1:]).read_bytes() == b"1"


async def test_an_output_folder_that_became_a_link_is_refused(places: DirectoryPlaces, mounts: bool) -> None:
    if mounts:
        pytest.skip("a mount point cannot be replaced")
    place = await places.prepare(_request(), b"{}")
    place.out.rmdir()
    place.out.symlink_to("/etc")
    with pytest.raises(Invalid) as caught:
        await _collected(places, place)
    assert caught.value.metadata["rule"] == "not_a_folder"


async def test_a_retry_fetches_nothing_and_sees_nothing_of_what_the_first_try_did(
    places: DirectoryPlaces, blobs: Blobs, mounts: bool
) -> None:
    """I-147: also where the processor covers its tracks."""
    inputs = [(f"/artifacts/in/{name}", blobs.add(name.encode())) for name in ("a", "b", "c")]
    first = await places.prepare(_request(*inputs), b"{}")
    if mounts:
        with pytest.raises(OSError, match="Read-only"):
            (first.world / "artifacts" / "in" / "a").chmod(0o644)
    # Somebody with the executor's own rights, who need not care about mounts.
    mount.unmount_below(first.world)
    inside = first.world / "artifacts" / "in"
    inside.chmod(0o755)
    (inside / "stray").write_bytes(b"stray")
    for name in ("a", "b"):
        (inside / name).chmod(0o644)
    (inside / "a").write_bytes(b"A")
    (inside / "a").chmod(0o444)
    os.utime(inside / "a", ns=(0, 0))
    (inside / "b").write_bytes(b"B")
    blobs.downloads.clear()
    second = await places.prepare(_request(*inputs, name=f"{NAME[:-1]}1", verify=True), b"{}")
    assert {path.name: path.read_bytes() for path in (second.world / "artifacts" / "in").iterdir()} == {
        "a": b"a",
        "b": b"b",
        "c": b"c",
    }
    assert (second.world / "artifacts" / "in").stat().st_mode & 0o777 == 0o555
    # Only what was changed; the place of the first try need not be there any more.
    assert sorted(blobs.downloads) == sorted([inputs[0][1], inputs[1][1]])
    await places.remove(first.name)
    blobs.downloads.clear()
    await places.prepare(_request(*inputs, name=f"{NAME[:-1]}2", verify=True), b"{}")
    assert blobs.downloads == []
