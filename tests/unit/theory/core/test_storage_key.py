"""Storage keys: the published vectors, and that no store can take one key for another."""

import json

import pytest

from tests.unit.theory.core.refusal import refused
from tests.vectors import make_storage_key, make_world_path
from theory.core.errors import Invalid
from theory.core.storage_key import MAX_KEY_BYTES, MAX_PART_BYTES, StorageKey
from theory.core.world_path import WorldName, WorldPath

VECTORS = json.loads(make_storage_key.FILE.read_text("ascii"))


def _of(vector: dict[str, str]) -> StorageKey:
    return StorageKey.of(WorldName.parse(vector["world"]), WorldPath.parse(vector["path"]))


def test_the_vector_file_is_what_its_script_writes() -> None:
    assert make_storage_key.FILE.read_text("ascii") == make_storage_key.text()
    assert len({each["key"] for each in VECTORS["keys"]}) == len(VECTORS["keys"]) >= 80
    assert len({each["key"] for each in VECTORS["no_keys"]}) == len(VECTORS["no_keys"]) >= 50


def test_places_have_the_keys_that_the_vectors_say() -> None:
    assert [vector for vector in VECTORS["keys"] if _of(vector).text != vector["key"]] == []


def test_a_spelled_key_gives_its_place_back_and_a_hashed_one_none() -> None:
    for vector in VECTORS["keys"]:
        key = StorageKey.parse(vector["key"])
        place = WorldName.parse(vector["world"]), WorldPath.parse(vector["path"])
        assert key == StorageKey.of(*place)
        assert key.place == (None if str(key).startswith("h/") else place)


@pytest.mark.parametrize("key", [each["key"] for each in VECTORS["no_keys"]], ids=lambda key: ascii(key)[:60])
def test_what_no_place_is_called_is_no_key(key: str) -> None:
    with refused(Invalid, "PATH_INVALID", rule="storage_key"):
        StorageKey.parse(key)


def test_half_a_surrogate_pair_is_no_key() -> None:
    with refused(Invalid, "PATH_INVALID", rule="storage_key"):
        StorageKey.parse("w/a/artifacts/\ud800")


def test_accepted_paths_have_keys_of_their_own_that_any_store_keeps_as_they_are() -> None:
    accepted = [path for path, rule in make_world_path.paths() if rule is None]
    paths = {WorldPath.parse(path) for path in accepted}
    keys = {StorageKey.of(WorldName.parse("a.b-c"), path).text for path in paths}
    assert len(keys) == len(paths) > 1000
    for key in keys:
        assert len(key) <= MAX_KEY_BYTES
        assert set(key) <= set("abcdefghijklmnopqrstuvwxyz0123456789_.!/-")
        assert all(0 < len(part) <= MAX_PART_BYTES and part.strip(".") == part for part in key.split("/"))
        assert ".." not in key
