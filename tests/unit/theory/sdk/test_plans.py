"""From a plan's file to a submitted plan."""

from pathlib import Path

import pytest

from tests.unit.theory.sdk.conftest import Installation
from tests.unit.theory.sdk.servicer import change
from theory.core.cid import Cid
from theory.core.errors import Invalid, NotFound
from theory.core.execution import PlanState
from theory.core.jcs import JSON
from theory.core.plan import PlanSpec
from theory.sdk import plans

_PLAN = """\
name: media
files:
  /artifacts/inputs/: ["*.png"]
  /artifacts/readme.txt: ../readme.txt
transitions:
  - {id: probe, processor: media/probe@1, reads: [/artifacts/inputs/**]}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "plan").mkdir()
    (tmp_path / "readme.txt").write_bytes(b"read me")
    (tmp_path / "plan" / "a.png").write_bytes(b"a")
    (tmp_path / "plan" / "b.png").write_bytes(b"a")
    (tmp_path / "plan" / "large.png").write_bytes(bytes(3 * 1024 * 1024))
    plan = tmp_path / "plan" / "plan.yaml"
    plan.write_text(_PLAN)
    return plan


async def test_a_plan_is_submitted_with_its_files_uploaded(installation: Installation, path: Path) -> None:
    plan = await plans.submit_plan(installation.theory, path)
    assert plan.name == "media"
    (request,) = installation.executor.submitted
    files = {each.world_path: (each.cid, each.size_bytes, each.content_type) for each in request.spec.files}
    assert files == {
        "/artifacts/inputs/a.png": (Cid.of(b"a").text, 1, "image/png"),
        "/artifacts/inputs/b.png": (Cid.of(b"a").text, 1, "image/png"),
        "/artifacts/inputs/large.png": (Cid.of(bytes(3 * 1024 * 1024)).text, 3 * 1024 * 1024, "image/png"),
        "/artifacts/readme.txt": (Cid.of(b"read me").text, 7, "text/plain"),
    }
    for cid, _, _ in files.values():
        await installation.theory.artifacts.get_blob(Cid.parse(cid))


async def test_only_what_the_store_lacks_is_sent(installation: Installation, path: Path) -> None:
    sent: list[tuple[int, int]] = []
    spec = plans.load_plan(path)
    for _ in range(2):
        await plans.upload_sources(
            installation.theory, spec, path.parent, on_upload=lambda files, size: sent.append((files, size))
        )
    assert sent == [(3, 3 * 1024 * 1024 + 8), (0, 0)]


async def test_files_that_are_uploaded_already_stay(installation: Installation, path: Path) -> None:
    file: dict[str, JSON] = {"path": "/artifacts/b", "cid": Cid.of(b"").text, "size_bytes": 0}
    spec = PlanSpec.parse({"name": "a", "files": [file], "transitions": [{"id": "a", "processor": "a@1"}]})
    assert (await plans.upload_sources(installation.theory, spec, path.parent)).files == spec.files


async def test_a_plan_is_followed_to_its_end(installation: Installation, path: Path) -> None:
    installation.executor.scripts = [[change(1), change(2, state="failed")]]
    told: list[int] = []
    plan = await plans.run_plan(installation.theory, path, on_change=lambda each: told.append(each.seq))
    assert plan.state is PlanState.FAILED
    assert told == [1, 2]


async def test_a_runtime_overrides_those_of_the_plan(installation: Installation, path: Path) -> None:
    path.write_text("name: a\nruntime: local\ntransitions: [{id: a, processor: a@1, runtime: local}]\n")
    await plans.submit_plan(installation.theory, path, runtime="mock")
    spec = installation.executor.submitted[0].spec
    assert (spec.runtime, spec.transitions[0].runtime) == ("mock", "")


def test_a_runtime_that_is_none_is_refused(path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        plans.with_runtime(plans.load_plan(path), "cloud")
    assert caught.value.metadata == {"field": "runtime"}


def test_a_missing_plan_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="No such file") as caught:
        plans.load_plan(tmp_path / "plan.yaml")
    assert caught.value.reason == "FILE_UNKNOWN"


def test_broken_yaml_is_told_with_file_line_and_column(path: Path) -> None:
    path.write_text("name: a\nname: b\n")
    with pytest.raises(Invalid) as caught:
        plans.load_plan(path)
    assert caught.value.reason == "YAML_INVALID"
    assert caught.value.metadata == {"source": str(path), "line": "2", "column": "1"}


async def test_nothing_is_submitted_where_a_file_is_missing(installation: Installation, path: Path) -> None:
    (path.parent.parent / "readme.txt").unlink()
    with pytest.raises(NotFound) as caught:
        await plans.submit_plan(installation.theory, path)
    assert caught.value.metadata["field"] == "files./artifacts/readme.txt[0]"
    assert installation.executor.submitted == []


def test_a_wrong_field_is_told_with_its_place_in_the_file(path: Path) -> None:
    path.write_text(_PLAN.replace("reads:", "read:"))
    with pytest.raises(Invalid) as caught:
        plans.load_plan(path)
    assert caught.value.metadata == {
        "field": "transitions[0].read",
        "source": str(path),
        "line": "6",
        "column": "43",
    }


@pytest.mark.parametrize(
    "error",
    [
        Invalid("PLAN_INVALID", "named *.png", field="files./artifacts/[0]", source="a.png"),
        Invalid("CID_MISMATCH", "changed meanwhile", expected="b3:1", actual="b3:2"),
        NotFound("FILE_UNKNOWN", "no such file", field="files./artifacts/[0]"),
    ],
)
def test_what_is_not_of_the_file_is_left_as_it_is(path: Path, error: Invalid | NotFound) -> None:
    before = dict(error.metadata)
    with pytest.raises(type(error)), plans.located(path):
        raise error
    assert error.metadata == before


def test_a_file_that_is_gone_has_no_places(path: Path) -> None:
    path.unlink()
    with pytest.raises(Invalid) as caught, plans.located(path):
        raise Invalid("PLAN_INVALID", "wrong", field="name")
    assert caught.value.metadata == {"field": "name"}
