"""The script that fetches the photographs of the media example, without a registry."""

import hashlib
from pathlib import Path

import pytest
import yaml

from deploy import photos
from theory.core.cid import Cid
from theory.core.plan import PlanFile, PlanSpec, expand
from theory.core.world_path import PathPrefix, WorldPath

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "docs" / "examples" / "media"
DATA = {name: name.encode() for name in photos.SHA256_BY_NAME}


@pytest.fixture
def unpacked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where a wheel was unpacked; what it holds has the hashes that are asked for."""
    places: list[Path] = []

    def unpack(folder: Path) -> None:
        places.append(folder)
        (folder / photos.INSIDE).mkdir(parents=True)
        for name, data in DATA.items():
            (folder / photos.INSIDE / name).write_bytes(data)

    monkeypatch.setattr(photos, "unpack", unpack)
    hashes = {name: hashlib.sha256(name.encode()).hexdigest() for name in DATA}
    monkeypatch.setattr(photos, "SHA256_BY_NAME", hashes)
    return places


def test_the_photographs_and_nothing_else_end_up_in_the_folder(tmp_path: Path, unpacked: list[Path]) -> None:
    assert photos.fetch(tmp_path / "photos") == len(DATA)
    assert {each.name: each.read_bytes() for each in (tmp_path / "photos").iterdir()} == DATA
    assert not unpacked[0].exists()


def test_a_second_run_fetches_nothing(tmp_path: Path, unpacked: list[Path]) -> None:
    photos.fetch(tmp_path)
    assert photos.fetch(tmp_path) == 0
    assert len(unpacked) == 1


def test_a_damaged_photograph_is_replaced_and_the_others_stay(tmp_path: Path, unpacked: list[Path]) -> None:
    photos.fetch(tmp_path)
    (tmp_path / "coffee.png").write_bytes(b"spilt")
    assert photos.fetch(tmp_path) == 1
    assert (tmp_path / "coffee.png").read_bytes() == DATA["coffee.png"]
    assert len(unpacked) == 2


def test_another_photograph_than_was_pinned_is_refused(
    tmp_path: Path, unpacked: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(photos.SHA256_BY_NAME, "brick.png", "0" * 64)
    with pytest.raises(photos.Failed, match=r"another brick\.png"):
        photos.fetch(tmp_path)
    assert not (tmp_path / "brick.png").exists()


def test_the_page_names_the_origin_of_each_photograph() -> None:
    page = (EXAMPLE / "README.md").read_text("utf-8")
    assert [name for name in photos.SHA256_BY_NAME if f"| `{name}` |" not in page] == []


def test_the_plan_probes_and_renders_each_photograph_under_one_number() -> None:
    plan = PlanSpec.parse(yaml.safe_load((EXAMPLE / "plan.yaml").read_text("utf-8")))
    (source,) = plan.sources
    assert isinstance(source.target, PathPrefix)
    names = [Path(each).name for each in source.patterns]
    assert names == sorted(photos.SHA256_BY_NAME)

    cid = Cid.of(b"")
    files = [PlanFile(WorldPath.parse(f"{source.target.text}{name}"), cid, 0) for name in names]
    steps = expand(plan.with_files(files))
    paths = {
        step: [each.inputs["path"] for each in steps if each.transition_id.text == step] for step in ("probe", "render")
    }
    assert paths["probe"] == paths["render"] == [each.path.text for each in files]
    assert len(steps) == 17


def test_one_wheel_is_pinned_and_no_address() -> None:
    text = photos.PINS.read_text("utf-8")
    assert text.count("--hash=sha256:") == 1
    assert "://" not in text
