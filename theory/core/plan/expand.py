"""Expansion: a plan's transitions become the steps that are carried out, one per item of a fan-out."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar, cast

from theory.core import jcs
from theory.core.errors import Invalid, TheoryError, shown
from theory.core.ids import TransitionId
from theory.core.jcs import JSON
from theory.core.plan.spec import MAX_STEPS, EachFile, ItemList, PlanFile, PlanSpec, TransitionSpec
from theory.core.plan.template import Item, fill
from theory.core.refs import Ref
from theory.core.selector import Selector
from theory.core.spec import ProcessorSpec
from theory.core.world_path import PathPrefix

V = TypeVar("V")

MAX_EXPANDED_BYTES = 64 * 1024 * 1024
"""How much canonical JSON the inputs of all steps may be together."""


@dataclass(frozen=True, slots=True)
class Step:
    """One execution to be: a transition, or one item of its fan-out, with nothing left to fill in."""

    transition_id: TransitionId
    index: int | None
    """Which item it is, from 0; None where there is no fan-out."""
    processor: Ref
    inputs: Mapping[str, JSON]
    reads: tuple[Selector, ...]
    needs: tuple[TransitionId, ...]
    write_prefix: PathPrefix | None
    """None leaves the choice to `default_write_prefix`."""
    runtime: str | None
    volumes: tuple[str, ...] = ()


def expand(plan: PlanSpec) -> tuple[Step, ...]:
    """The steps of a plan whose files are uploaded, in the order of its transitions and of their items.

    `Invalid` (`PLAN_INVALID`) with `field`: a fan-out without items, a template that an item cannot fill, a selector or
    prefix that is none once it is filled, or a plan that gets too large.
    """
    steps: list[Step] = []
    size = 0
    for place, transition in enumerate(plan.transitions):
        at = f"transitions[{place}]"
        items = list(_items(transition, plan.files, at))
        if len(steps) + len(items) > MAX_STEPS:
            raise _invalid(f"{at}.for_each", f"a plan has at most {MAX_STEPS} executions")
        for index, item in items:
            step = _step(plan, transition, index, item, at)
            size += len(jcs.canonical(dict(step.inputs)))
            if size > MAX_EXPANDED_BYTES:
                raise _invalid(f"{at}.inputs", f"the inputs of all executions are over {MAX_EXPANDED_BYTES} bytes")
            steps.append(step)
    return tuple(steps)


def default_write_prefix(processor: ProcessorSpec, step: Step) -> PathPrefix | None:
    """Where a step writes that names no prefix: below the first folder that its processor declares.

    `<prefix><transition_id>/`, and `<prefix><transition_id>/<index>/` in a fan-out: no plan or execution id is in it,
    so that a plan that runs again can use the results of the first. None where only exact files are declared.
    """
    if (prefix := processor.first_prefix) is None:
        return None
    folder = prefix.folder(step.transition_id.text)
    return folder if step.index is None else folder.folder(str(step.index))


def _items(transition: TransitionSpec, files: Iterable[PlanFile], at: str) -> Iterable[tuple[int | None, Item | None]]:
    if transition.for_each is None:
        return [(None, None)]
    if isinstance(transition.for_each, ItemList):
        return enumerate(transition.for_each.items)
    items = list(_file_items(transition.for_each, files))
    if not items:
        raise _invalid(f"{at}.for_each.files", f"none of the plan's files is in {transition.for_each.selector}")
    return enumerate(items)


def _file_items(fan_out: EachFile, files: Iterable[PlanFile]) -> Iterable[Item]:
    paths = sorted(each.path for each in files if fan_out.selector.matches(each.path))
    for index, path in enumerate(paths):
        stem = path.name.rpartition(".")[0] or path.name
        yield {"path": path.text, "name": path.name, "stem": stem, "index": index}


def _step(plan: PlanSpec, transition: TransitionSpec, index: int | None, item: Item | None, at: str) -> Step:
    try:
        return _filled_step(plan, transition, index, item, at)
    except TheoryError as error:
        if index is None:
            raise
        raise _invalid(error.metadata["field"], f"item {index}: {error.message}") from error


def _filled_step(plan: PlanSpec, transition: TransitionSpec, index: int | None, item: Item | None, at: str) -> Step:
    reads = (
        _parsed(Selector.parse, fill(text, item, at=f"{at}.reads[{place}]"), f"{at}.reads[{place}]")
        for place, text in enumerate(transition.reads)
    )
    prefix = None
    if transition.write_prefix is not None:
        place = f"{at}.write_prefix"
        prefix = _parsed(PathPrefix.parse, fill(transition.write_prefix, item, at=place), place)
    return Step(
        transition_id=transition.transition_id,
        index=index,
        processor=transition.processor,
        inputs=cast("Mapping[str, JSON]", fill(transition.inputs, item, at=f"{at}.inputs")),
        reads=tuple(reads),
        needs=transition.needs,
        write_prefix=prefix,
        runtime=transition.runtime or plan.runtime,
        volumes=transition.volumes,
    )


def _parsed(parse: Callable[[str], V], value: JSON, at: str) -> V:
    if not isinstance(value, str):
        raise _invalid(at, "a template here must give a text")
    try:
        return parse(value)
    except TheoryError as error:
        raise _invalid(at, error.message) from error


def _invalid(field: str, sentence: str) -> Invalid:
    return Invalid("PLAN_INVALID", sentence, field=shown(field))
