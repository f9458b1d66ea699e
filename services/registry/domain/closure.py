"""What documents name of each other: the closure of some roots, and whether they fit what they name."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import cast

from services.registry.domain.forms import placeholders
from services.registry.domain.schemas import Form
from theory.core.document import Fields
from theory.core.errors import Invalid, NotFound
from theory.core.jcs import JSON
from theory.core.refs import Ref, SpecKind
from theory.core.registry import Spec, SpecName
from theory.core.spec import Predicate, ProcessorSpec, SchemaSpec

MAX_BYTES = 6 * 1024 * 1024
"""What the documents of one closure may weigh together: a snapshot travels in one message."""

_STEP = 24  # as many of the largest documents weigh 6 MiB
_KEY_BYTES = 8
_REASON = "SPEC_INVALID"

Documents = Mapping[SpecName, Mapping[str, JSON]]
Load = Callable[[Collection[SpecName]], Awaitable[Mapping[SpecName, Spec]]]


async def closure_of(roots: Iterable[SpecName], load: Load) -> Documents:
    """The documents of `roots` and of all that these name, and so on.

    `NotFound` (`SPEC_UNKNOWN`) with `kind`, `ref` and `referrer` for what was never published; `Invalid`
    (`SPEC_INVALID`) with `ref` and `field` where a document does not fit what it names; `Invalid`
    (`SNAPSHOT_TOO_LARGE`) beyond `MAX_BYTES`.
    """
    documents: dict[SpecName, Mapping[str, JSON]] = {}
    referrer_by_name: dict[SpecName, SpecName | None] = dict.fromkeys(roots)
    pending = list(referrer_by_name)
    room = MAX_BYTES
    while pending:
        names, pending = pending[:_STEP], pending[_STEP:]
        specs = await load(names)
        for name in names:
            if name not in specs:
                raise _unknown(name, referrer_by_name[name])
            room -= len(specs[name].canonical) + len(name.ref.text) + _KEY_BYTES
        if room < 0:
            raise too_large()
        for name, document, references in await asyncio.to_thread(_read, [specs[name] for name in names]):
            documents[name] = document
            fresh = [each for each in references if each not in referrer_by_name]
            referrer_by_name |= dict.fromkeys(fresh, name)
            pending += fresh
    judge = _Judge(documents)
    found = list(documents)
    for start in range(0, len(found), _STEP):
        await asyncio.to_thread(judge.each, found[start : start + _STEP])
    return documents


def too_large() -> Invalid:
    """The error for a closure that does not fit into a message."""
    message = f"the documents that these roots name weigh more than {MAX_BYTES} bytes together: split the plan"
    return Invalid("SNAPSHOT_TOO_LARGE", message, max_bytes=str(MAX_BYTES))


def _read(specs: Iterable[Spec]) -> list[tuple[SpecName, Mapping[str, JSON], Sequence[SpecName]]]:
    documents = [(spec.name, spec.document) for spec in specs]
    return [(name, document, _references(name, document)) for name, document in documents]


def _references(name: SpecName, document: Mapping[str, JSON]) -> Sequence[SpecName]:
    if name.kind is SpecKind.TOOLS:
        with _blaming(name):
            return [SpecName(kind, ref) for kind, ref in ProcessorSpec.parse(document).references]
    if name.kind is SpecKind.PROMPTS and (variables := document.get("variables")) is not None:
        return [SpecName(SpecKind.SCHEMAS, Ref.parse(cast("str", variables)))]
    return []


class _Judge:
    """Refuses documents that do not fit those they name; all of these are there."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._args_by_predicate: dict[Ref, Form] = {}

    def each(self, names: Iterable[SpecName]) -> None:
        """Raise the first refusal."""
        for name in names:
            document = self._documents[name]
            with _blaming(name):
                if name.kind is SpecKind.TOOLS:
                    processor = ProcessorSpec.parse(document)
                    self._predicates("admission", processor.admission)
                    self._predicates("success", processor.success)
                elif name.kind is SpecKind.PROMPTS:
                    self._prompt(document)

    def _predicates(self, gate: str, predicates: Sequence[Predicate]) -> None:
        for at, predicate in enumerate(predicates):
            place = f"predicates.{gate}[{at}]"
            document = self._documents[SpecName(SpecKind.PREDICATES, predicate.id)]
            if gate not in cast("Sequence[str]", document["gates"]):
                raise Invalid(_REASON, f"{predicate.id} is no predicate of {gate}", field=f"{place}.id")
            if predicate.id not in self._args_by_predicate:
                self._args_by_predicate[predicate.id] = Form(cast("Mapping[str, JSON]", document["args"]))
            args = self._args_by_predicate[predicate.id]
            if fault := args.fault_in(predicate.args, passed_over=_filled_later):
                raise Invalid(_REASON, fault.sentence, field=f"{place}.args.{fault.field}".removesuffix("."))

    def _prompt(self, document: Mapping[str, JSON]) -> None:
        fields = Fields(document, reason=_REASON)
        variables = fields.parsed("variables", Ref.parse, None)
        if variables is None:
            return
        schema = SchemaSpec.parse(self._documents[SpecName(SpecKind.SCHEMAS, variables)]).schema
        properties = schema.get("properties")
        declared = set(properties) if isinstance(properties, Mapping) else set()
        named = placeholders(fields.need("template", str))
        if stray := sorted(named - declared):
            raise fields.refusal(f"{variables} has no property {stray[0]}", "template")
        if unused := sorted(declared - named):
            raise fields.refusal(f"the template has no placeholder for {unused[0]}, which is a property", "variables")


def _filled_later(value: object) -> bool:
    return isinstance(value, str) and value.startswith("${")


@contextmanager
def _blaming(name: SpecName) -> Iterator[None]:
    """Say of which document it is that a field is wrong."""
    try:
        yield
    except Invalid as error:
        message = f"{name.ref}: {error.message}"
        raise Invalid(_REASON, message, ref=name.ref.text, field=error.metadata.get("field", "$")) from error


def _unknown(name: SpecName, referrer: SpecName | None) -> NotFound:
    named_by = {} if referrer is None else {"referrer": referrer.ref.text}
    message = f"there is no {name.ref} among the {name.kind}"
    if referrer is not None:
        message += f", which {referrer.ref} names"
    return NotFound("SPEC_UNKNOWN", message, ref=name.ref.text, kind=name.kind.value, **named_by)
