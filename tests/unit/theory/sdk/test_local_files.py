"""What the sources of a plan match, and what their files are called."""

from pathlib import Path

import pytest

from theory.core.errors import Invalid, NotFound
from theory.core.plan import FileSource
from theory.core.world_path import PathPrefix, WorldPath
from theory.sdk.local_files import matched


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("plan/a.png", "plan/b.jpg", "plan/.hidden.png", "photos/2026/c.png", "photos/d.png", "photos/[x].txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path / "plan"


def _paths(base: Path, target: str, *patterns: str) -> list[str]:
    source = FileSource(PathPrefix(target) if target.endswith("/") else WorldPath(target), patterns)
    return [each.path.text for each in matched([source], base)]


def test_a_pattern_matches_files_beside_the_plan_and_no_hidden_ones(folder: Path) -> None:
    assert _paths(folder, "/artifacts/in/", "*.png") == ["/artifacts/in/a.png"]


def test_patterns_may_leave_the_folder_of_the_plan(folder: Path) -> None:
    assert _paths(folder, "/artifacts/in/", "../photos/d.png") == ["/artifacts/in/d.png"]


def test_an_absolute_pattern_is_taken_as_it_is(folder: Path) -> None:
    assert _paths(folder, "/artifacts/in/", f"{folder}/*.jpg") == ["/artifacts/in/b.jpg"]


def test_a_file_keeps_the_folders_below_the_part_without_wildcards(folder: Path) -> None:
    expected = ["/artifacts/in/2026/c.png", "/artifacts/in/d.png"]
    assert _paths(folder, "/artifacts/in/", "../photos/**/*.png") == expected


def test_a_name_that_looks_like_a_pattern_is_a_name_first(folder: Path) -> None:
    assert _paths(folder, "/artifacts/x.txt", "../photos/[x].txt") == ["/artifacts/x.txt"]


def test_files_are_in_order_of_path_with_their_content_types(folder: Path) -> None:
    found = matched([FileSource(PathPrefix("/artifacts/in/"), ("b.jpg", "a.png"))], folder)
    assert [(each.path.name, each.content_type) for each in found] == [("a.png", "image/png"), ("b.jpg", "image/jpeg")]


def test_one_file_named_twice_is_one_file(folder: Path) -> None:
    assert _paths(folder, "/artifacts/in/", "a.png", "*.png") == ["/artifacts/in/a.png"]


def test_a_pattern_that_matches_nothing_is_told_with_its_place(folder: Path) -> None:
    with pytest.raises(NotFound) as caught:
        _paths(folder, "/artifacts/in/", "a.png", "*.tiff")
    assert caught.value.reason == "FILE_UNKNOWN"
    assert caught.value.metadata == {"source": "*.tiff", "field": "files./artifacts/in/[1]"}


def test_a_folder_is_no_file(folder: Path) -> None:
    with pytest.raises(NotFound) as caught:
        _paths(folder, "/artifacts/in/", "../photos/")
    assert caught.value.message == "../photos/ is a folder: write ../photos/* for the files in it"


def test_several_files_for_one_path_are_refused(folder: Path) -> None:
    with pytest.raises(Invalid, match="matches 2"):
        _paths(folder, "/artifacts/in.png", "[ab].*")


def test_two_files_that_would_get_one_path_are_refused(folder: Path) -> None:
    (folder.parent / "photos" / "a.png").write_bytes(b"another")
    with pytest.raises(Invalid, match=r"two files would be /artifacts/in/a\.png") as caught:
        _paths(folder, "/artifacts/in/", "a.png", "../photos/a.png")
    assert caught.value.metadata["field"] == "files./artifacts/in/[1]"


def test_a_name_that_no_world_path_can_have_is_refused(folder: Path) -> None:
    (folder / "IMG_1.PNG").write_bytes(b"")
    with pytest.raises(Invalid, match="be lowercase; rename it") as caught:
        _paths(folder, "/artifacts/in/", "*.PNG")
    assert caught.value.reason == "PLAN_INVALID"
    assert caught.value.metadata["source"].endswith("IMG_1.PNG")
    assert _paths(folder, "/artifacts/img_1.png", "IMG_1.PNG") == ["/artifacts/img_1.png"]
