"""Expansion: one step per transition, or one per item."""

import dataclasses
from collections.abc import Mapping

import pytest

from tests.unit.theory.core.refusal import refused
from theory.core.cid import Cid
from theory.core.errors import Invalid
from theory.core.ids import TransitionId
from theory.core.jcs import JSON
from theory.core.plan import PlanFile, PlanSpec, Step, default_write_prefix, expand
from theory.core.refs import Ref
from theory.core.selector import Selector
from theory.core.spec import ProcessorSpec
from theory.core.world_path import PathPrefix, WorldPath


def _plan(*transitions: Mapping[str, JSON], runtime: str | None = None, files: tuple[str, ...] = ()) -> PlanSpec:
    document: JSON = {
        "name": "photos",
        "runtime": runtime,
        "transitions": [{"id": f"t{at}", "processor": "demo/p@1", **each} for at, each in enumerate(transitions)],
    }
    return PlanSpec.parse(document).with_files([PlanFile(WorldPath.parse(path), Cid.of(b""), 0) for path in files])


def test_a_transition_without_a_fan_out_is_one_step() -> None:
    plan = _plan(
        {},
        {
            "inputs": {"a": 1},
            "reads": ["/artifacts/a/**"],
            "needs": ["t0"],
            "write_prefix": "/artifacts/o/",
            "runtime": "mock",
        },
        runtime="local",
    )
    first, second = expand(plan)
    assert first == Step(TransitionId("t0"), None, Ref("demo/p@1"), {}, (), (), None, "local")
    assert second == Step(
        TransitionId("t1"),
        None,
        Ref("demo/p@1"),
        {"a": 1},
        (Selector.parse("/artifacts/a/**"),),
        (TransitionId("t0"),),
        PathPrefix("/artifacts/o/"),
        "mock",
    )
    assert expand(_plan({}))[0].runtime is None


def test_each_listed_item_is_a_step() -> None:
    plan = _plan(
        {
            "for_each": [{"name": "a", "to": "/artifacts/x/"}, {"name": "b", "to": "/artifacts/y/"}],
            "inputs": {"name": "${item.name}", "all": "${item.to}"},
            "reads": ["/artifacts/in/${item.name}", "/artifacts/in/${item.name}/**"],
            "write_prefix": "${item.to}",
        }
    )
    steps = expand(plan)
    assert [(step.index, step.inputs["name"]) for step in steps] == [(0, "a"), (1, "b")]
    assert [each.text for each in steps[1].reads] == ["/artifacts/in/b", "/artifacts/in/b/**"]
    assert steps[1].write_prefix == PathPrefix("/artifacts/y/")


def test_each_selected_file_is_a_step_in_order_of_path() -> None:
    plan = _plan(
        {
            "for_each": {"files": "/artifacts/p/**"},
            "inputs": {"item": ["${item.path}", "${item.name}", "${item.stem}", "${item.index}"]},
        },
        files=(
            "/artifacts/p/b.tar.gz",
            "/artifacts/p/a.jpg",
            "/artifacts/p/.hidden",
            "/artifacts/p/q/c",
            "/artifacts/px",
        ),
    )
    assert [step.inputs["item"] for step in expand(plan)] == [
        ["/artifacts/p/.hidden", ".hidden", ".hidden", 0],
        ["/artifacts/p/a.jpg", "a.jpg", "a", 1],
        ["/artifacts/p/b.tar.gz", "b.tar.gz", "b.tar", 2],
        ["/artifacts/p/q/c", "c", "c", 3],
    ]


def test_a_fan_out_over_no_files_is_refused() -> None:
    with refused(Invalid, "PLAN_INVALID", field="transitions[1].for_each.files"):
        expand(_plan({}, {"for_each": {"files": "/artifacts/p/**"}}, files=("/artifacts/q",)))


@pytest.mark.parametrize(
    ("transition", "field"),
    [
        ({"inputs": {"a": ["${item.extra}"]}}, "transitions[1].inputs.a[0]"),
        ({"reads": ["/artifacts/a", "/artifacts/${item.name}"]}, "transitions[1].reads[1]"),
        ({"reads": ["${item.path}"]}, "transitions[1].reads[0]"),
        ({"reads": ["${item.up}"]}, "transitions[1].reads[0]"),
        ({"write_prefix": "/artifacts/${item.name}/"}, "transitions[1].write_prefix"),
        ({"write_prefix": "${item.path}/"}, "transitions[1].write_prefix"),
        ({"write_prefix": "${item.folder}"}, "transitions[1].write_prefix"),
    ],
)
def test_an_item_that_does_not_fit_is_named(transition: Mapping[str, JSON], field: str) -> None:
    fits: JSON = {"name": "a", "path": "/artifacts/a", "up": "/artifacts/a", "folder": "/artifacts/a/", "extra": 1}
    other: JSON = {"name": "A", "path": ["/artifacts/a"], "up": "/artifacts/../a", "folder": 1}
    assert len(expand(_plan({"for_each": [fits], **transition}))) == 1
    with refused(Invalid, "PLAN_INVALID", field=field) as caught:
        expand(_plan({}, {"for_each": [fits, other], **transition}))
    assert caught.value.message.startswith("item 1: ")


def test_a_plan_has_at_most_ten_thousand_steps() -> None:
    assert len(expand(_plan({"for_each": [{}] * 9_999}, {}))) == 10_000
    with refused(Invalid, "PLAN_INVALID", field="transitions[1].for_each"):
        expand(_plan({"for_each": [{}] * 9_999}, {"for_each": [{}, {}]}))


def test_the_inputs_of_all_steps_are_bounded() -> None:
    big: JSON = {"a": "x" * 200_000}
    with refused(Invalid, "PLAN_INVALID", field="transitions[0].inputs"):
        expand(_plan({"for_each": [{}] * 400, "inputs": big}))


def _processor(*writes: str) -> ProcessorSpec:
    document: JSON = {
        "ref": "demo/p@1",
        "image": {"build": {"context": "p"}},
        "outputs": {"writes": [{"prefix": each} for each in writes]},
    }
    return ProcessorSpec.parse(document)


def test_the_default_prefix_is_below_the_first_declared_folder() -> None:
    (plain,) = expand(_plan({}))
    first, second = expand(_plan({"for_each": [{}, {}]}))
    processor = _processor("/artifacts/meta.json", "/artifacts/out/", "/artifacts/more/")
    prefixes = [default_write_prefix(processor, step) for step in (plain, first, second)]
    assert [each and each.text for each in prefixes] == [
        "/artifacts/out/t0/",
        "/artifacts/out/t0/0/",
        "/artifacts/out/t0/1/",
    ]


def test_there_is_no_default_prefix_without_a_declared_folder() -> None:
    (step,) = expand(_plan({}))
    assert default_write_prefix(_processor("/artifacts/meta.json"), step) is None
    assert default_write_prefix(_processor(), step) is None


def test_a_plan_that_was_not_parsed_is_checked_all_the_same() -> None:
    plan = _plan({"reads": ["/artifacts/a"]})
    forged = dataclasses.replace(plan, transitions=(dataclasses.replace(plan.transitions[0], reads=("nope",)),))
    with refused(Invalid, "PLAN_INVALID", field="transitions[0].reads[0]"):
        expand(forged)
