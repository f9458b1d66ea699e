"""Plans as they are submitted: the strict document, and complaints with the path of the field."""

from collections.abc import Mapping
from itertools import pairwise

import pytest

from tests.unit.theory.core.refusal import refused
from theory.core import jcs
from theory.core.cid import Cid
from theory.core.errors import Invalid
from theory.core.ids import TransitionId
from theory.core.jcs import JSON
from theory.core.plan import EachFile, FileSource, ItemList, PlanFile, PlanSpec
from theory.core.refs import Ref
from theory.core.selector import Selector
from theory.core.world_path import PathPrefix, WorldName, WorldPath

CID = Cid.of(b"x").text
STEP: Mapping[str, JSON] = {"id": "thumb", "processor": "demo/thumb@1"}
SMALL: Mapping[str, JSON] = {"name": "photos", "transitions": [STEP]}
FILE: Mapping[str, JSON] = {"path": "/artifacts/a", "cid": CID, "size_bytes": 1}
WHOLE: Mapping[str, JSON] = {
    "name": "photos",
    "policy": "strict@2",
    "world": "shared",
    "seed": 7,
    "runtime": "local",
    "budget": {"max_usd_micro": 0},
    "files": [{**FILE, "path": "/artifacts/b", "content_type": "image/jpeg"}, FILE],
    "transitions": [
        {
            "id": "thumb",
            "processor": "demo/thumb@1",
            "inputs": {"photo": "${item.path}", "scale": 0.5},
            "reads": ["${item.path}", "/artifacts/logo.png"],
            "for_each": {"files": "/artifacts/**"},
            "write_prefix": "/artifacts/outputs/${item.stem}/",
        },
        {
            "id": "label",
            "processor": "demo/label@1",
            "for_each": [{"text": "a"}, {"text": "b"}],
            "inputs": {"text": "${item.text}"},
            "runtime": "mock",
            "volumes": ["shared", "cache-2", "shared"],
        },
        {
            "id": "sheet",
            "processor": "demo/sheet@1",
            "needs": ["thumb", "label", "thumb"],
            "write_prefix": "/artifacts/s/",
        },
    ],
}


def _steps(*changes: Mapping[str, JSON]) -> Mapping[str, JSON]:
    return {**SMALL, "transitions": [{**STEP, "id": f"t{at}", **each} for at, each in enumerate(changes)]}


def test_every_field_of_the_document_is_seen() -> None:
    plan = PlanSpec.parse(WHOLE)
    assert (plan.name, plan.policy, plan.world, plan.seed) == ("photos", Ref("strict@2"), WorldName("shared"), 7)
    assert (plan.runtime, plan.max_usd_micro, plan.sources) == ("local", 0, ())
    assert plan.files == (
        PlanFile(WorldPath("/artifacts/a"), Cid(CID), 1),
        PlanFile(WorldPath("/artifacts/b"), Cid(CID), 1, "image/jpeg"),
    )
    thumb, label, sheet = plan.transitions
    assert thumb.for_each == EachFile(Selector.parse("/artifacts/**"))
    assert (thumb.reads, thumb.write_prefix) == (
        ("${item.path}", "/artifacts/logo.png"),
        "/artifacts/outputs/${item.stem}/",
    )
    assert label.for_each == ItemList(({"text": "a"}, {"text": "b"}))
    assert (label.runtime, label.processor, label.inputs) == ("mock", Ref("demo/label@1"), {"text": "${item.text}"})
    assert (label.volumes, sheet.volumes) == (("shared", "cache-2"), ())
    assert sheet.needs == (TransitionId("thumb"), TransitionId("label"))


def test_a_small_document_gets_the_defaults() -> None:
    plan = PlanSpec.parse(SMALL)
    assert (plan.policy, plan.world, plan.seed, plan.runtime, plan.max_usd_micro) == (
        Ref("default@1"),
        None,
        0,
        None,
        None,
    )
    assert (plan.files, plan.sources) == ((), ())
    (step,) = plan.transitions
    assert (step.inputs, step.reads, step.needs, step.write_prefix, step.for_each, step.runtime) == (
        {},
        (),
        (),
        None,
        None,
        None,
    )


@pytest.mark.parametrize(
    "document", [SMALL, WHOLE, {**SMALL, "files": {"/artifacts/a": "a", "/artifacts/b/": ["*", "c"]}}]
)
def test_a_plan_goes_through_json_and_comes_back(document: Mapping[str, JSON]) -> None:
    plan = PlanSpec.parse(document)
    assert PlanSpec.parse(jcs.parse(jcs.canonical(plan.to_document()))) == plan


def test_local_files_are_sources_until_they_are_uploaded() -> None:
    plan = PlanSpec.parse(
        {**SMALL, "files": {"/artifacts/photos/": "p/*.jpg", "/artifacts/c/": ["a", "b"], "/artifacts/d": "d"}}
    )
    assert plan.sources == (
        FileSource(PathPrefix("/artifacts/photos/"), ("p/*.jpg",)),
        FileSource(PathPrefix("/artifacts/c/"), ("a", "b")),
        FileSource(WorldPath("/artifacts/d"), ("d",)),
    )
    files = [PlanFile(WorldPath(f"/artifacts/photos/{name}"), Cid(CID), 1, source=name) for name in "ba"]
    uploaded = plan.with_files(files)
    assert (uploaded.files, uploaded.sources) == ((files[1], files[0]), ())
    assert "source" not in str(uploaded.to_document())


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"nam": "x"}, "nam"),
        ({"name": None}, "name"),
        ({"name": "Photos"}, "name"),
        ({"name": "a" * 65}, "name"),
        ({"policy": "default"}, "policy"),
        ({"world": "My World"}, "world"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**53}, "seed"),
        ({"seed": 1.0}, "seed"),
        ({"runtime": "kubernetes"}, "runtime"),
        ({"budget": 5}, "budget"),
        ({"budget": {"max": 5}}, "budget.max"),
        ({"budget": {"max_usd_micro": -1}}, "budget.max_usd_micro"),
        ({"files": "a"}, "files"),
        ({"files": ["a"]}, "files[0]"),
        ({"files": {"/artifacts/a": 5}}, "files./artifacts/a"),
        ({"files": {"/artifacts/a/": ["b", 5]}}, "files./artifacts/a/[1]"),
        ({"files": {"/artifacts/a": None}}, "files./artifacts/a"),
        ({"files": [FILE, FILE]}, "files"),
        ({"files": [{**FILE, "path": "/streams/a"}]}, "files[0].path"),
        ({"files": [{**FILE, "path": "/artifacts/a/"}]}, "files[0].path"),
        ({"files": [{**FILE, "cid": "b3:0"}]}, "files[0].cid"),
        ({"files": [{**FILE, "size_bytes": -1}]}, "files[0].size_bytes"),
        ({"files": [{**FILE, "size_bytes": None}]}, "files[0].size_bytes"),
        ({"files": [{**FILE, "content_type": "x"}]}, "files[0].content_type"),
        ({"files": [{**FILE, "source": "x"}]}, "files[0].source"),
        ({"files": [{**FILE, "path": f"/artifacts/{at}"} for at in range(10_001)]}, "files"),
        ({"files": {"/artifacts/a": ["b", "c"]}}, "files./artifacts/a"),
        ({"files": {"/artifacts/a": []}}, "files./artifacts/a"),
        ({"files": {"/artifacts/a/": [""]}}, "files./artifacts/a/"),
        ({"files": {"/artifacts/a/": ""}}, "files./artifacts/a/"),
        ({"files": {"/artifacts/a/": 1}}, "files./artifacts/a/"),
        ({"files": {"/artifacts/a/": [1]}}, "files./artifacts/a/[0]"),
        ({"files": {"/streams/a/": "a"}}, "files./streams/a/"),
        ({"files": {"photos/": "a"}}, "files.photos/"),
        ({"transitions": None}, "transitions"),
        ({"transitions": []}, "transitions"),
        ({"transitions": {}}, "transitions"),
        ({"transitions": [STEP, STEP]}, "transitions[1].id"),
        (_steps(*[{}] * 1001), "transitions"),
        (_steps({}, {"inptus": {}}), "transitions[1].inptus"),
        (_steps({}, {"id": None}), "transitions[1].id"),
        (_steps({}, {"id": "T"}), "transitions[1].id"),
        (_steps({}, {"processor": None}), "transitions[1].processor"),
        (_steps({}, {"processor": "x"}), "transitions[1].processor"),
        (_steps({"inputs": []}), "transitions[0].inputs"),
        (_steps({"inputs": {"a": float("nan")}}), "transitions[0].inputs"),
        (_steps({"inputs": {"a": "x" * 262_144}}), "transitions[0].inputs"),
        (_steps({"inputs": {"a": ["${item.x}"]}}), "transitions[0].inputs.a[0]"),
        (_steps({"reads": "/artifacts/a"}), "transitions[0].reads"),
        (_steps({"reads": ["/artifacts/a", "/artifacts/*"]}), "transitions[0].reads[1]"),
        (_steps({"reads": ["/artifacts/${item.x}"]}), "transitions[0].reads[0]"),
        (_steps({"for_each": [{}], "reads": ["/artifacts/${x}"]}), "transitions[0].reads[0]"),
        (_steps({"needs": ["t1"]}), "transitions[0].needs[0]"),
        (_steps({}, {"needs": ["t0", "t2"]}), "transitions[1].needs[1]"),
        (_steps({"needs": ["T"]}), "transitions[0].needs[0]"),
        (_steps({"write_prefix": ""}), "transitions[0].write_prefix"),
        (_steps({"write_prefix": "/artifacts/a"}), "transitions[0].write_prefix"),
        (_steps({"write_prefix": "/artifacts/${item.x}/"}), "transitions[0].write_prefix"),
        (_steps({"runtime": "docker"}), "transitions[0].runtime"),
        (_steps({"volumes": "shared"}), "transitions[0].volumes"),
        (_steps({"volumes": {"shared": {}}}), "transitions[0].volumes"),
        (_steps({"volumes": ["shared", "Cache"]}), "transitions[0].volumes[1]"),
        (_steps({"for_each": [{"n": "a"}], "volumes": ["${item.n}"]}), "transitions[0].volumes[0]"),
        (_steps(*({"volumes": [f"v{at}"]} for at in range(33))), "transitions"),
        (_steps({"for_each": []}), "transitions[0].for_each"),
        (_steps({"for_each": "x"}), "transitions[0].for_each"),
        (_steps({"for_each": [{}, 1]}), "transitions[0].for_each[1]"),
        (_steps({"for_each": [{}, {"a": 2**53}]}), "transitions[0].for_each[1]"),
        (_steps({"for_each": [{}] * 10_001}), "transitions[0].for_each"),
        (_steps({"for_each": {}}), "transitions[0].for_each.files"),
        (_steps({"for_each": {"file": "/artifacts/**"}}), "transitions[0].for_each.file"),
        (_steps({"for_each": {"files": "*.jpg"}}), "transitions[0].for_each.files"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(changes: Mapping[str, JSON], field: str) -> None:
    with refused(Invalid, "PLAN_INVALID", field=field):
        PlanSpec.parse({**SMALL, **changes})


@pytest.mark.parametrize(
    ("needs", "circle"),
    [
        ({"t0": ["t0"]}, {"t0"}),
        ({"t0": ["t1"], "t1": ["t0"]}, {"t0", "t1"}),
        ({"t1": ["t0", "t2"], "t2": ["t3"], "t3": ["t1"]}, {"t1", "t2", "t3"}),
    ],
)
def test_a_circle_is_refused_and_named(needs: dict[str, list[str]], circle: set[str]) -> None:
    document = _steps(*({"needs": needs.get(f"t{at}", [])} for at in range(4)))
    with refused(Invalid, "PLAN_INVALID") as caught:
        PlanSpec.parse(document)
    named = caught.value.message.partition(": ")[2].split(" -> ")
    assert named[0] == named[-1]
    assert set(named) == circle
    assert all(needed in needs[each] for each, needed in pairwise(named))
    assert caught.value.metadata["field"] == f"transitions[{named[0][1:]}].needs"


def test_a_long_chain_of_needs_is_no_circle() -> None:
    document = _steps({}, *({"needs": [f"t{at}"]} for at in range(999)))
    assert len(PlanSpec.parse(document).transitions) == 1000
