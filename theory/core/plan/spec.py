"""The plan as it is submitted: read from a plain document, refused with the path of what is wrong."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import Self, TypeAlias

from theory.core import jcs
from theory.core.artifact import DEFAULT_CONTENT_TYPE, Output, content_type_of
from theory.core.cid import Cid
from theory.core.document import Fields
from theory.core.errors import Invalid, shown
from theory.core.ids import TransitionId
from theory.core.jcs import JSON, MAX_SAFE_INTEGER
from theory.core.money import MAX_USD_MICRO, UsdMicro
from theory.core.plan.template import MAX_INPUTS_BYTES, check
from theory.core.refs import Ref
from theory.core.selector import Selector
from theory.core.volume import MAX_PLAN_VOLUMES, volume_name
from theory.core.world_path import PathPrefix, WorldName, WorldPath

DEFAULT_POLICY = Ref("default@1")
RUNTIMES = ("local", "process", "mock", "modal")
MAX_TRANSITIONS = 1_000
MAX_STEPS = 10_000
"""How many executions a plan may have, after fan-out."""
MAX_FILES = 10_000

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}").fullmatch


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A file of the client's that the plan's world holds before the first transition."""

    path: WorldPath
    cid: Cid
    size_bytes: int
    content_type: str = DEFAULT_CONTENT_TYPE
    source: str | None = None
    """Where the client has it; never sent."""

    def to_document(self) -> dict[str, JSON]:
        """As the document of a plan holds it."""
        return Output(self.path, self.cid, self.size_bytes, self.content_type).to_document()


@dataclass(frozen=True, slots=True)
class FileSource:
    """Local files that the client is to upload: one to an exact path, or whatever the patterns match to a folder."""

    target: WorldPath | PathPrefix
    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ItemList:
    """A fan-out over objects that the plan itself lists."""

    items: tuple[Mapping[str, JSON], ...]


@dataclass(frozen=True, slots=True)
class EachFile:
    """A fan-out over the plan's files: one item `{path, name, stem, index}` per file, in order of path."""

    selector: Selector


FanOut: TypeAlias = ItemList | EachFile


@dataclass(frozen=True, slots=True)
class TransitionSpec:
    """One step of a plan as its author wrote it; texts may hold `${item.key}` where there is a fan-out."""

    transition_id: TransitionId
    processor: Ref
    inputs: Mapping[str, JSON]
    reads: tuple[str, ...]
    needs: tuple[TransitionId, ...]
    write_prefix: str | None
    """None leaves the choice to `default_write_prefix`."""
    for_each: FanOut | None
    runtime: str | None
    volumes: tuple[str, ...] = ()
    """Scratch directories of the plan that it shares with whoever names them, too."""

    def to_document(self) -> dict[str, JSON]:
        """As the document of a plan holds it."""
        document: dict[str, JSON] = {
            "id": self.transition_id.text,
            "processor": self.processor.text,
            "inputs": self.inputs,
            "reads": self.reads,
            "needs": [each.text for each in self.needs],
            "write_prefix": self.write_prefix,
            "for_each": _fan_out_document(self.for_each),
            "runtime": self.runtime,
            "volumes": self.volumes or None,
        }
        return {name: value for name, value in document.items() if value is not None}


@dataclass(frozen=True, slots=True)
class PlanSpec:
    """A plan: what to run, on which files, in which order, for how much at most."""

    name: str
    policy: Ref
    world: WorldName | None
    """The world to read and write; None gives the plan a world of its own."""
    seed: int
    runtime: str | None
    """Carries out the transitions that name none; None leaves the choice to the executor."""
    max_usd_micro: UsdMicro | None
    """None takes the policy's; more than that the executor refuses."""
    files: tuple[PlanFile, ...]
    sources: tuple[FileSource, ...]
    """What the client has yet to upload; empty in a plan that is submitted."""
    transitions: tuple[TransitionSpec, ...]

    @classmethod
    def parse(cls, document: JSON) -> Self:
        """The plan that a document spells; `Invalid` (`PLAN_INVALID`) with `field`: `transitions[2].needs[0]`."""
        fields = Fields(document, reason="PLAN_INVALID")
        fields.only("name", "policy", "world", "seed", "runtime", "budget", "files", "transitions")
        budget = fields.object("budget")
        budget.only("max_usd_micro")
        files, sources = _files(fields)
        most = budget.whole("max_usd_micro", 0, high=MAX_USD_MICRO)
        return cls(
            name=fields.needed("name", _name),
            policy=fields.parsed("policy", Ref.parse, DEFAULT_POLICY),
            world=fields.parsed("world", WorldName.parse, None),
            seed=fields.whole("seed", 0, high=MAX_SAFE_INTEGER),
            runtime=fields.parsed("runtime", _runtime, None),
            max_usd_micro=most if "max_usd_micro" in budget else None,
            files=files,
            sources=sources,
            transitions=_transitions(fields),
        )

    def to_document(self) -> dict[str, JSON]:
        """The document that `parse` reads as this plan."""
        document: dict[str, JSON] = {
            "name": self.name,
            "policy": self.policy.text,
            "world": None if self.world is None else self.world.text,
            "seed": self.seed,
            "runtime": self.runtime,
            "budget": None if self.max_usd_micro is None else {"max_usd_micro": self.max_usd_micro},
            "files": {each.target.text: each.patterns for each in self.sources}
            or [each.to_document() for each in self.files],
            "transitions": [each.to_document() for each in self.transitions],
        }
        return {name: value for name, value in document.items() if value is not None}

    def with_files(self, files: Sequence[PlanFile]) -> Self:
        """The same plan once its sources were uploaded as these files."""
        return replace(self, files=tuple(sorted(files, key=lambda each: each.path)), sources=())


def _files(fields: Fields) -> tuple[tuple[PlanFile, ...], tuple[FileSource, ...]]:
    """Uploaded files as a list, or where local ones go as an object."""
    if not isinstance(fields.raw("files"), list | tuple):
        targets = fields.object("files")
        return (), tuple(_source(targets, name) for name in targets.document)
    files = sorted((_file(each) for each in fields.objects("files")), key=lambda each: each.path)
    if len(files) > MAX_FILES:
        raise fields.refusal(f"a plan has at most {MAX_FILES} files", "files")
    if len({each.path for each in files}) != len(files):
        raise fields.refusal("two files have one path", "files")
    return tuple(files), ()


def _file(fields: Fields) -> PlanFile:
    fields.only("path", "cid", "size_bytes", "content_type")
    fields.need("size_bytes", int)
    return PlanFile(
        path=fields.needed("path", _below_artifacts),
        cid=fields.needed("cid", Cid.parse),
        size_bytes=fields.whole("size_bytes", 0, high=MAX_SAFE_INTEGER),
        content_type=fields.parsed("content_type", content_type_of, DEFAULT_CONTENT_TYPE),
    )


def _source(targets: Fields, name: str) -> FileSource:
    target = targets.checked(name, _target, name)
    value = targets.raw(name)
    several = isinstance(value, list | tuple)
    patterns = targets.texts(name, str) if several else (value,) if isinstance(value, str) else ()
    if not patterns or "" in patterns:
        raise targets.refusal("the name of a file, a pattern, or a list of them is expected", name)
    if isinstance(target, WorldPath) and len(patterns) > 1:
        raise targets.refusal("one path takes one file; several go to a folder, which ends in '/'", name)
    return FileSource(target, patterns)


def _transitions(fields: Fields) -> tuple[TransitionSpec, ...]:
    found = tuple(_transition(each) for each in fields.objects("transitions"))
    if not 1 <= len(found) <= MAX_TRANSITIONS:
        raise fields.refusal(f"a plan has 1 to {MAX_TRANSITIONS} transitions", "transitions")
    place_by_id: dict[TransitionId, int] = {}
    for at, each in enumerate(found):
        if place_by_id.setdefault(each.transition_id, at) != at:
            raise fields.refusal(f"two transitions are called {each.transition_id}", f"transitions[{at}].id")
    for at, each in enumerate(found):
        for need_at, need in enumerate(each.needs):
            if need not in place_by_id:
                raise fields.refusal(f"there is no transition {need}", f"transitions[{at}].needs[{need_at}]")
    if len({name for each in found for name in each.volumes}) > MAX_PLAN_VOLUMES:
        raise fields.refusal(f"a plan has at most {MAX_PLAN_VOLUMES} volumes", "transitions")
    try:
        TopologicalSorter({each.transition_id: each.needs for each in found}).prepare()
    except CycleError as error:
        cycle: list[TransitionId] = error.args[1]
        circle = " -> ".join(each.text for each in reversed(cycle))
        place = f"transitions[{place_by_id[cycle[-1]]}].needs"
        raise fields.refusal(f"transitions need each other in a circle: {circle}", place) from None
    return found


def _transition(fields: Fields) -> TransitionSpec:
    fields.only("id", "processor", "inputs", "reads", "needs", "write_prefix", "for_each", "runtime", "volumes")
    spec = TransitionSpec(
        transition_id=fields.needed("id", TransitionId.parse),
        processor=fields.needed("processor", Ref.parse),
        inputs=fields.checked("inputs", _inputs, fields.mapping("inputs")),
        reads=fields.texts("reads", str),
        needs=tuple(dict.fromkeys(fields.texts("needs", TransitionId.parse))),
        write_prefix=fields.get("write_prefix", str, None),
        for_each=_fan_out(fields),
        runtime=fields.parsed("runtime", _runtime, None),
        volumes=tuple(dict.fromkeys(fields.texts("volumes", volume_name))),
    )
    fanned_out = spec.for_each is not None
    check(spec.inputs, at=fields.path("inputs"), fanned_out=fanned_out)
    for at, text in enumerate(spec.reads):
        check(text, at=fields.path(f"reads[{at}]"), fanned_out=fanned_out)
        if "${" not in text:
            fields.checked(f"reads[{at}]", Selector.parse, text)
    if spec.write_prefix is not None:
        check(spec.write_prefix, at=fields.path("write_prefix"), fanned_out=fanned_out)
        if "${" not in spec.write_prefix:
            fields.checked("write_prefix", PathPrefix.parse, spec.write_prefix)
    return spec


def _inputs(inputs: Mapping[str, JSON]) -> Mapping[str, JSON]:
    size = len(jcs.canonical(dict(inputs)))
    if size > MAX_INPUTS_BYTES:
        raise Invalid(
            "PLAN_INVALID", f"inputs have at most {MAX_INPUTS_BYTES} bytes of JSON, not {size}", field="inputs"
        )
    return inputs


def _fan_out(fields: Fields) -> FanOut | None:
    value = fields.raw("for_each")
    if value is None:
        return None
    if isinstance(value, Mapping):
        source = fields.object("for_each")
        source.only("files")
        return EachFile(source.needed("files", Selector.parse))
    items = tuple(each.document for each in fields.objects("for_each"))
    if not 1 <= len(items) <= MAX_STEPS:
        raise fields.refusal(f"a fan-out has 1 to {MAX_STEPS} items", "for_each")
    for at, item in enumerate(items):
        fields.checked(f"for_each[{at}]", _inputs, item)
    return ItemList(items)


def _fan_out_document(fan_out: FanOut | None) -> JSON:
    if isinstance(fan_out, ItemList):
        return fan_out.items
    return None if fan_out is None else {"files": fan_out.selector.text}


def _target(text: str) -> WorldPath | PathPrefix:
    path = PathPrefix.parse(text) if text.endswith("/") else WorldPath.parse(text)
    if path.facet != "artifacts":
        raise Invalid("PATH_INVALID", "a plan's files lie below /artifacts/", value=shown(text), rule="facet")
    return path


def _below_artifacts(text: str) -> WorldPath:
    target = _target(text)
    return target if isinstance(target, WorldPath) else WorldPath.parse(text)


def _name(text: str) -> str:
    if _NAME(text) is None:
        message = "a plan's name has 1 to 64 characters of a-z, 0-9 and '-', the first no '-'"
        raise Invalid("PLAN_INVALID", message, field="name")
    return text


def _runtime(text: str) -> str:
    if text not in RUNTIMES:
        raise Invalid("PLAN_INVALID", f"a runtime is one of {', '.join(RUNTIMES)}", field="runtime")
    return text
