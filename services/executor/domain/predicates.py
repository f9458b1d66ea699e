"""The predicates that gate an attempt: before it is claimed, and on what it wrote before it is settled.

`budget.available@1` is not looked up here: its `required_usd_micro` is what the claim reserves, so the ledger answers
it in the transaction that takes the money.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol, cast

import jmespath
import jsonschema
import referencing
from jmespath.exceptions import JMESPathError, JMESPathTypeError
from jmespath.parser import ParsedResult
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from theory.core import jcs
from theory.core.errors import Corrupt, Invalid, NotFound, NotReady, TheoryError, shown
from theory.core.jcs import JSON
from theory.core.refs import Ref
from theory.core.spec import Predicate, RegistrySnapshot
from theory.core.world_path import WorldPath

BUDGET_AVAILABLE = Ref("budget.available@1")
MAX_DOCUMENT_BYTES = 1024 * 1024
"""The largest artifact that a predicate reads."""
MAX_EXPRESSION_CHARACTERS = 4096


class WorldView(Protocol):
    """The World as one attempt sees it: what is bound, and over it what the attempt is about to bind."""

    async def exists(self, path: WorldPath) -> bool:
        """Whether there is an artifact at `path`."""
        ...

    async def read(self, path: WorldPath, max_bytes: int) -> bytes:
        """Its bytes, verified; `NotFound` (`ARTIFACT_UNKNOWN`), `Invalid` (`BLOB_TOO_LARGE`)."""
        ...


async def check(
    predicates: Sequence[Predicate],
    view: WorldView,
    snapshot: RegistrySnapshot,
    names: Mapping[str, Mapping[str, JSON]],
) -> None:
    """Hold every predicate against the World, in order.

    An argument `${inputs.x}` or `${outputs.x}` is looked up in `names`; before an attempt there are no outputs.

    `NotReady` (`PREDICATE_REFUSED`) with `predicate` and, where it has one, `path`, for the first that says no, or that
    cannot be answered: its artifact is missing, too large or no JSON, its arguments are wrong. `Corrupt`
    (`BLOB_CORRUPT`): what it would read is damaged, and whoever asked did nothing wrong.
    """
    for predicate in predicates:
        if predicate.id == BUDGET_AVAILABLE:
            continue
        ask = _ANSWER_BY_ID.get(predicate.id.text)
        if ask is None:
            raise _refused(predicate, "this executor does not know the predicate")
        try:
            args = {name: _filled(value, names) for name, value in predicate.args.items()}
            complaint = await ask(args, view, snapshot)
        except TheoryError as error:
            if error.retryable or isinstance(error, Corrupt):
                raise
            raise _refused(predicate, error.message, **_path_of(error.metadata)) from error
        if complaint is not None:
            raise _refused(predicate, complaint, **_path_of(args))


def required_usd_micro(predicates: Sequence[Predicate]) -> int | None:
    """What the admission predicates ask the budget for; None where they do not ask."""
    asked = [each.args.get("required_usd_micro") for each in predicates if each.id == BUDGET_AVAILABLE]
    amounts = [amount for amount in asked if isinstance(amount, int) and not isinstance(amount, bool)]
    return max(amounts, default=None)


async def _exists(args: Mapping[str, JSON], view: WorldView, _: RegistrySnapshot) -> str | None:
    path = _path(args)
    return None if await view.exists(path) else f"nothing is at {path}"


async def _jmespath_ok(args: Mapping[str, JSON], view: WorldView, _: RegistrySnapshot) -> str | None:
    path, expression = _path(args), args.get("expression")
    if not isinstance(expression, str):
        raise Invalid("SPEC_INVALID", "the argument `expression` is a JMESPath text", field="expression")
    value = await _document(view, path)
    try:
        found = _compiled(expression).search(value)
    except JMESPathTypeError as error:  # its own words hold the value
        message = f"the expression gives {error.function_name}() a value of a type that it does not take"
        raise Invalid("SPEC_INVALID", message, field="expression") from error
    except JMESPathError as error:
        raise Invalid("SPEC_INVALID", f"the expression cannot be evaluated: {error}", field="expression") from error
    except (TypeError, ValueError, ArithmeticError, RecursionError) as error:  # the library lets Python's own through
        message = "the expression asks for what cannot be done with the values of this document"
        raise Invalid("SPEC_INVALID", message, field="expression") from error
    if "equals" in args:
        return None if found == args["equals"] else f"{expression} is not what it must equal at {path}"
    return None if found else f"{expression} does not hold at {path}"


async def _schema_ok(args: Mapping[str, JSON], view: WorldView, snapshot: RegistrySnapshot) -> str | None:
    path, ref = _path(args), args.get("schema")
    if not isinstance(ref, str):
        raise Invalid("SPEC_INVALID", "the argument `schema` is the ref of a schema", field="schema")
    schema = snapshot.get_schema(Ref.parse(ref)).schema
    value = await _document(view, path)
    # An empty registry: a schema never makes this service fetch anything.
    validator = _Linear(cast("dict[str, object]", schema), registry=referencing.Registry())
    try:
        fault = next(validator.iter_errors(value), None)
    except (referencing.exceptions.Unresolvable, jsonschema.exceptions.SchemaError, RecursionError) as error:
        raise Invalid("SPEC_INVALID", f"the schema {ref} cannot be applied: {error}", field="schema") from error
    if fault is None:
        return None
    where = "/".join(str(step) for step in fault.absolute_path) or "the document"
    return f"{path} breaks {ref}: {where}: {_rule_of(fault)}"


def _unique_items(_: Validator, wanted: object, value: object, __: object) -> Iterator[jsonschema.ValidationError]:
    # The library's own compares each item with each other where they cannot be sorted: a processor that writes a list
    # of 1 MiB would stop the executor for hours.
    if wanted is True and isinstance(value, list) and len({jcs.canonical(item) for item in value}) < len(value):
        yield jsonschema.ValidationError("an item occurs twice")


_Linear: Any = extend(jsonschema.Draft202012Validator, {"uniqueItems": _unique_items})  # type: ignore[no-untyped-call]


def _rule_of(fault: jsonschema.ValidationError) -> str:
    """What the schema asks, without what the document holds: that may be long, and the sentence is recorded for ever.

    Numbers, truth values and null stay: the sentence is about them.
    """
    if isinstance(fault.instance, str | list | dict):
        return fault.message.replace(repr(fault.instance), "it")
    return fault.message


_Answer = Callable[[Mapping[str, JSON], WorldView, RegistrySnapshot], Awaitable[str | None]]
_ANSWER_BY_ID: Mapping[str, _Answer] = {
    "artifact.exists@1": _exists,
    "artifact.jmespath_ok@1": _jmespath_ok,
    "json.schema_ok@1": _schema_ok,
}


@lru_cache(maxsize=256)
def _compiled(expression: str) -> ParsedResult:
    if len(expression) > MAX_EXPRESSION_CHARACTERS:
        message = f"an expression has at most {MAX_EXPRESSION_CHARACTERS} characters"
        raise Invalid("SPEC_INVALID", message, field="expression")
    return jmespath.compile(expression)


async def _document(view: WorldView, path: WorldPath) -> JSON:
    return jcs.parse(await view.read(path, MAX_DOCUMENT_BYTES))


def _filled(value: JSON, names: Mapping[str, Mapping[str, JSON]]) -> JSON:
    """`value`, or what it names: a look-up of a whole string, never a template language."""
    if not isinstance(value, str) or not value.startswith("${"):
        return value
    source, _, name = value[2:].removesuffix("}").partition(".")
    if f"${{{source}.{name}}}" != value or name not in names.get(source, {}):
        raise NotFound("NAME_UNKNOWN", f"there is no {shown(value)}: the processor did not name it", name=shown(value))
    return names[source][name]


def _path(args: Mapping[str, JSON]) -> WorldPath:
    text = args.get("path")
    if not isinstance(text, str):
        raise Invalid("SPEC_INVALID", "the argument `path` is a World path", field="path")
    return WorldPath.parse(text)


def _path_of(facts: Mapping[str, object]) -> dict[str, str]:
    path = facts.get("path")
    return {"path": shown(path)} if isinstance(path, str) else {}


def _refused(predicate: Predicate, complaint: str, **metadata: str) -> NotReady:
    message = f"{predicate.id} says no: {shown(complaint)}"
    return NotReady("PREDICATE_REFUSED", message, predicate=predicate.id.text, **metadata)
