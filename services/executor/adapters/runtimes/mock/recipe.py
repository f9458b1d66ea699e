"""What a mock attempt writes: one document per entry of its write set and per output that a predicate names."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from blake3 import blake3

from services.executor.adapters.runtimes.mock.expression import satisfy
from services.executor.adapters.runtimes.mock.instance import minimal_instance
from theory.core import jcs
from theory.core.context import ExpandedContext
from theory.core.errors import TheoryError
from theory.core.jcs import JSON
from theory.core.refs import Ref
from theory.core.selector import Selector
from theory.core.spec import Predicate, ProcessorSpec, RegistrySnapshot
from theory.core.world_path import PathPrefix, WorldPath

_INPUT, _OUTPUT = "${inputs.", "${outputs."
_SIGN = "mock"
"""The field that makes a document depend on what the attempt was given."""


@dataclass(slots=True)
class _Artifact:
    document: dict[str, JSON]
    signed: bool
    """Whether the document may hold a field that nothing asked for."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything but what changes from attempt to attempt: the same for a processor and one write set."""

    artifacts: Mapping[str, _Artifact]
    """By name relative to `out/`."""
    result: bytes

    def files(self, context: ExpandedContext) -> dict[str, bytes]:
        """The output of one attempt: a function of processor, inputs, input CIDs and seed, and of no id or time.

        The memo key stands for the input CIDs: it covers them, and the context holds nothing else that does.
        """
        given = jcs.canonical([context.memo_key, context.seed, context.inputs])
        files = {"result.json": self.result}
        for relative, artifact in self.artifacts.items():
            document = artifact.document
            if artifact.signed:
                document = {**document, _SIGN: blake3(given + relative.encode()).hexdigest()}
            files[relative] = jcs.canonical(document)
        return files


def asked_by_inputs(processor: ProcessorSpec) -> bool:
    """Whether a success predicate names inputs, so that the recipe depends on what they are."""
    values = [value for predicate in processor.success for value in predicate.args.values()]
    return any(isinstance(value, str) and value.startswith(_INPUT) for value in values)


def recipe_of(processor: ProcessorSpec, context: ExpandedContext) -> Recipe:
    """The recipe for a processor that may write what the context says."""
    plan = _Layout(context.write_prefix, context.write_set_resolved)
    success = [Predicate(each.id, _filled(each.args, context.inputs)) for each in processor.success]
    named = {name: path for name in _names(success) if (path := plan.place(name))}
    documents: dict[str, _Artifact] = {
        path: _Artifact({}, signed=True) for path in (*plan.every_entry(), *named.values())
    }
    for predicate in success:
        target = _target(predicate, named)
        if target is not None and plan.admits(target):
            _shape(documents.setdefault(target, _Artifact({}, signed=True)), predicate, context.registry_snapshot)
    artifacts = {path[1:]: artifact for path, artifact in documents.items()}
    return Recipe(artifacts, jcs.canonical({"outputs": named}))


def _names(predicates: Iterable[Predicate]) -> list[str]:
    """The names of the outputs that predicates refer to, in order."""
    values = [value for predicate in predicates for value in predicate.args.values()]
    names = [_name(value, _OUTPUT) for value in values if isinstance(value, str)]
    return [name for name in dict.fromkeys(names) if name is not None]


def _filled(args: Mapping[str, JSON], inputs: Mapping[str, JSON]) -> dict[str, JSON]:
    """The arguments with those inputs that they name; outputs stay as they are."""
    filled = dict(args)
    for key, value in args.items():
        name = _name(value, _INPUT) if isinstance(value, str) else None
        if name is not None and name in inputs:
            filled[key] = inputs[name]
    return filled


def _name(value: str, start: str) -> str | None:
    return value.removeprefix(start).removesuffix("}") if value.startswith(start) and value[-1] == "}" else None


def _target(predicate: Predicate, named: Mapping[str, str]) -> str | None:
    path = predicate.args.get("path")
    if not isinstance(path, str):
        return None
    name = _name(path, _OUTPUT)
    return path if name is None else named.get(name)


def _shape(artifact: _Artifact, predicate: Predicate, snapshot: RegistrySnapshot) -> None:
    """Let the document satisfy the predicate, as far as that can be told."""
    match predicate.id.text, predicate.args:
        case "json.schema_ok@1", {"schema": str(ref)} if ref in snapshot.schemas:
            schema = snapshot.get_schema(Ref.parse(ref)).schema
            value = minimal_instance(schema)
            if isinstance(value, Mapping):
                artifact.document = {**value, **artifact.document}
            artifact.signed = artifact.signed and schema.get("additionalProperties", True) is True
        case "artifact.jmespath_ok@1", {"expression": str(expression), **others}:
            satisfy(artifact.document, expression, others.get("equals"), exact="equals" in others)


@dataclass(slots=True)
class _Layout:
    """Gives each output a path that the attempt may write."""

    write_prefix: str
    write_set: Sequence[Selector]
    taken: set[str] = field(default_factory=set)

    def place(self, name: str) -> str:
        """`<write prefix>tile.json` for `tile_path`; without a prefix the next exact file, and "" after the last."""
        if self.write_prefix:
            return self._below(self.write_prefix, name)
        free = (each.target.text for each in self.write_set if isinstance(each.target, WorldPath))
        path = next((each for each in free if each not in self.taken), "")
        if path:
            self.taken.add(path)
        return path

    def every_entry(self) -> list[str]:
        """One path per entry of the write set."""
        return [
            each.target.text if isinstance(each.target, WorldPath) else self._below(each.target.text, "mock")
            for each in self.write_set
            if isinstance(each.target, WorldPath) or not self._written(each.target)
        ]

    def admits(self, path: str) -> bool:
        try:
            parsed = WorldPath.parse(path)
        except TheoryError:
            return False
        return any(each.matches(parsed) for each in self.write_set)

    def _written(self, folder: PathPrefix) -> bool:
        return any(path.startswith(folder.text) for path in self.taken)

    def _below(self, folder: str, name: str) -> str:
        stem = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in name.lower())
        path = f"{folder}{stem.removesuffix('-path') or 'mock'}.json"
        self.taken.add(path)
        return path
