"""JSON Schemas: whether one is sound and stands alone, and where a value breaks one."""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from jsonschema_specifications import REGISTRY as SPECIFICATIONS  # type: ignore[import-untyped]
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from theory.core import jcs
from theory.core.document import no_such_field
from theory.core.errors import shown
from theory.core.jcs import JSON

DIALECT = "https://json-schema.org/draft/2020-12/schema"

MAX_PARTS = 4096
"""How many objects and lists a schema may have: holding each against the metaschema takes a fifth of a millisecond."""

_TOO_DEEP = "it nests too deep"


class Fault(NamedTuple):
    """One thing that is wrong."""

    field: str
    """Where, such as `runtime.timeout_s`; empty for the whole."""
    sentence: str


class Form:
    """A schema that values are held against; nothing is ever fetched for it."""

    def __init__(self, schema: Mapping[str, JSON]) -> None:
        # Without a registry of its own, the library would fetch what a reference names.
        self._validator: Validator = _Linear(_unmarked(schema), registry=_PARTS, format_checker=_FORMATS)

    def fault_in(self, value: JSON, passed_over: Callable[[JSON], bool] = lambda _: False) -> Fault | None:
        """The first thing that is wrong with `value`, if any; parts that are `passed_over` may be anything."""
        try:
            errors = self._validator.iter_errors(value)
            error = next((each for each in errors if not passed_over(cast("JSON", each.instance))), None)
        except RecursionError:
            return Fault("", _TOO_DEEP)
        return None if error is None else _fault_of(error)


def fault_in_schema(schema: Mapping[str, JSON]) -> Fault | None:
    """What keeps `schema` from being JSON Schema 2020-12 that needs nothing outside of itself, if anything."""
    if schema.get("$schema", DIALECT) != DIALECT:
        return Fault("$schema", f"the dialect is {DIALECT}")
    if sum(1 for _ in itertools.islice(_parts(schema), MAX_PARTS + 1)) > MAX_PARTS:
        return Fault("", f"it has more than {MAX_PARTS} objects and lists")
    return _METASCHEMA.fault_in(schema) or _fault_in_references(schema)


def _parts(value: JSON) -> Iterator[JSON]:
    if isinstance(value, Mapping | list | tuple):
        yield value
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _parts(item)


def _fault_in_references(schema: Mapping[str, JSON]) -> Fault | None:
    resource: Any = DRAFT202012.create_resource(dict(schema))
    registry: Registry[Any] = Registry()
    resolver = registry.with_resource("", resource).resolver()
    for field, name, value in _texts(schema, ()):
        if name == "$id" and field != "$id":
            return Fault(field, "an inner $id is refused: it would change what every $ref below it means")
        if name not in _REFERENCES:
            continue
        if not value.startswith("#"):
            return Fault(field, "a reference stays inside of its schema: it begins with #")
        try:
            resolver.lookup(value)
        except Unresolvable:
            return Fault(field, f"there is no {shown(value)} in this schema")
    return None


_REFERENCES = frozenset({"$ref", "$dynamicRef"})


def _texts(value: JSON, path: tuple[str | int, ...]) -> Iterator[tuple[str, str, str]]:
    """Place, name and value of every field of objects that holds text.

    In data, such as below `const`, they are no keywords. They are judged all the same: a reference may lead there.
    """
    if isinstance(value, Mapping):
        for name, item in value.items():
            if isinstance(item, str):
                yield field_of((*path, name)), name, item
            else:
                yield from _texts(item, (*path, name))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for at, item in enumerate(value):
            yield from _texts(item, (*path, at))


def field_of(path: Iterable[str | int]) -> str:
    """`outputs.writes[0].prefix`, of the steps to it."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _fault_of(error: ValidationError) -> Fault:
    rule = str(error.validator)
    wanted: Any = error.validator_value
    value: Any = error.instance
    path = list(error.absolute_path)
    if rule == "anyOf" and (
        closer := next((each for each in error.context or () if each.validator not in _COARSE), None)
    ):
        return _fault_of(closer)
    if rule == "required":
        path.append(next(name for name in wanted if name not in value))
        return Fault(field_of(path), "the field is missing")
    if rule == "additionalProperties" and wanted is False:
        known = list(error.schema.get("properties", {})) if isinstance(error.schema, Mapping) else []
        stray = next(name for name in value if name not in known)
        path.append(stray)
        return Fault(field_of(path), no_such_field(shown(stray), known))
    return Fault(field_of(path), _sentence(rule, wanted))


# What a branch of `anyOf` says where the value is of another form altogether.
_COARSE = frozenset({"const", "type"})


def _sentence(rule: str, wanted: Any) -> str:  # noqa: ANN401 - whatever stands behind a keyword
    if rule == "type":
        kinds = [wanted] if isinstance(wanted, str) else wanted
        return f"{' or '.join(_WORD_BY_TYPE[kind] for kind in kinds)} is expected"
    if rule in {"enum", "const"}:
        values = wanted if rule == "enum" else [wanted]
        return f"expected is {' or '.join(jcs.canonical(each).decode() for each in values)}"
    if rule in _SENTENCE_BY_LIMIT:
        return _SENTENCE_BY_LIMIT[rule].format(wanted)
    return _SENTENCE_BY_RULE.get(rule, f"it breaks the rule {rule} of its form")


_WORD_BY_TYPE: Mapping[str, str] = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a text",
}
_SENTENCE_BY_LIMIT: Mapping[str, str] = {
    "maxItems": "it has more than {} items",
    "maxLength": "it has more than {} characters",
    "maxProperties": "it has more than {} fields",
    "maximum": "it is above {}",
    "minItems": "it has fewer than {} items",
    "minLength": "it has fewer than {} characters",
    "minimum": "it is below {}",
}
_SENTENCE_BY_RULE: Mapping[str, str] = {
    "anyOf": "it has none of the forms that are allowed here",
    "format": "it is no regular expression",
    "pattern": "it is not written as it must be here",
    "uniqueItems": "an item occurs twice",
}


def _unique_items(_: Validator, wanted: object, value: object, __: object) -> Iterator[ValidationError]:
    # The library's own compares each item with each other where they cannot be sorted: a list of 256 KiB takes hours.
    if wanted is True and isinstance(value, list) and len({jcs.canonical(item) for item in value}) < len(value):
        yield ValidationError("an item occurs twice")


_Linear: Any = extend(Draft202012Validator, {"uniqueItems": _unique_items})  # type: ignore[no-untyped-call]
_FORMATS = FormatChecker([])


@_FORMATS.checks("regex")
def _compiles(text: object) -> bool:
    try:
        re.compile(text if isinstance(text, str) else "")
    except (re.error, RecursionError, OverflowError):
        return False
    return True


def _unmarked(schema: Mapping[str, JSON]) -> dict[str, Any]:
    # Where a schema names its dialect, the library would go on with its own validator instead of ours.
    return {key: value for key, value in schema.items() if key != "$schema"}


_PARTS: Registry[Any] = Registry().with_resources(
    (uri, DRAFT202012.create_resource(_unmarked(SPECIFICATIONS.contents(uri))))
    for uri in SPECIFICATIONS
    if uri.startswith(DIALECT.removesuffix("schema"))
)
"""What the metaschema is made of."""
_METASCHEMA = Form(Draft202012Validator.META_SCHEMA)
