"""What a rule says about a document, and whether asking is sure to be quick.

A rule is JSON, so that it can be answered in another process: `path` and `expression`, perhaps with `equals`; or
`path`, `ref` and `schema`. Whoever publishes a processor writes it, and a processor writes the document.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

import jmespath
import jsonschema
import referencing
from jmespath.exceptions import JMESPathError, JMESPathTypeError
from jmespath.parser import ParsedResult
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from theory.core import jcs
from theory.core.errors import Invalid
from theory.core.jcs import JSON

MAX_EXPRESSION_CHARACTERS = 4096
MAX_STEPS = 100_000
"""Keywords of a rule times bytes of a document, up to which a rule without surprises is answered on the spot: a
fraction of a second at worst."""


def complaint(rule: Mapping[str, JSON], document: bytes) -> str | None:
    """What is wrong with `document` by `rule`, if anything, in a sentence that holds nothing of the document."""
    try:
        value = jcs.parse(document)
        return _schema_complaint(rule, value) if "schema" in rule else _expression_complaint(rule, value)
    except Invalid as error:
        return error.message


def is_quick(rule: Mapping[str, JSON], size_bytes: int) -> bool:
    """Whether the time to answer is sure to grow no faster than `rule` and document together, and both are small.

    What can backtrack, refer, repeat or multiply is not: `pattern`, `$ref`, `anyOf`, projections, functions.
    """
    try:
        steps = (
            _schema_steps(rule["schema"], top=True) if "schema" in rule else _expression_steps(str(rule["expression"]))
        )
    except (Invalid, JMESPathError):
        return True  # refused before it meets the document
    except RecursionError:
        return False
    return steps is not None and steps * size_bytes <= MAX_STEPS


def _expression_complaint(rule: Mapping[str, JSON], value: JSON) -> str | None:
    path, expression = rule["path"], str(rule["expression"])
    try:
        found = _compiled(expression).search(value)
    except JMESPathTypeError as error:  # its own words hold the value
        return f"the expression gives {error.function_name}() a value of a type that it does not take"
    except JMESPathError as error:
        return f"the expression cannot be evaluated: {error}"
    except (TypeError, ValueError, ArithmeticError, RecursionError):  # the library lets Python's own through
        return "the expression asks for what cannot be done with the values of this document"
    if "equals" in rule:
        return None if found == rule["equals"] else f"{expression} is not what it must equal at {path}"
    return None if found else f"{expression} does not hold at {path}"


def _schema_complaint(rule: Mapping[str, JSON], value: JSON) -> str | None:
    path, ref = rule["path"], rule["ref"]
    # An empty registry: a schema never makes this service fetch anything.
    validator = _Linear(cast("dict[str, object]", rule["schema"]), registry=referencing.Registry())
    try:
        fault = next(validator.iter_errors(value), None)
    except jsonschema.exceptions.UnknownType:  # its own words hold the value
        return f"the schema {ref} cannot be applied: it names a type that there is not"
    except _INAPPLICABLE as error:
        return f"the schema {ref} cannot be applied: {error}"
    if fault is None:
        return None
    where = "/".join(str(step) for step in fault.absolute_path) or "the document"
    return f"{path} breaks {ref}: {where}: {_rule_of(fault)}"


_INAPPLICABLE = (
    referencing.exceptions.Unresolvable,
    jsonschema.exceptions.SchemaError,
    re.error,
    OverflowError,
    RecursionError,
)


def _unique_items(_: Validator, wanted: object, value: object, __: object) -> Iterator[jsonschema.ValidationError]:
    # The library's own compares each item with each other where they cannot be sorted: a list of 1 MiB takes hours.
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


@lru_cache(maxsize=256)
def _compiled(expression: str) -> ParsedResult:
    if len(expression) > MAX_EXPRESSION_CHARACTERS:
        message = f"an expression has at most {MAX_EXPRESSION_CHARACTERS} characters"
        raise Invalid("SPEC_INVALID", message, field="expression")
    return jmespath.compile(expression)


# Each part of a value meets one subschema below these at most, once.
_BELOW = frozenset({"additionalProperties", "items"})
_PLAIN = frozenset(
    {"$id", "$comment", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"}
    | {"type", "const", "enum", "required", "uniqueItems", "multipleOf"}
    | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
    | {"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"}
)


def _schema_steps(schema: JSON, *, top: bool = False) -> int | None:
    """How many keywords and values of theirs `schema` has; None where it has one that may take longer than its turn."""
    if not isinstance(schema, Mapping):
        return 1
    steps = 0
    for keyword, wanted in schema.items():
        # Below the top, a schema that names its dialect is applied by the library's own validator, not by ours.
        if keyword in _PLAIN or (keyword == "$schema" and top):
            parts: Sequence[int | None] = [1 + (len(wanted) if isinstance(wanted, Sequence | Mapping) else 0)]
        elif keyword in _BELOW:
            parts = [1, _schema_steps(wanted)]
        elif keyword == "properties" and isinstance(wanted, Mapping):
            parts = [1, *map(_schema_steps, wanted.values())]
        else:
            return None
        for part in parts:
            if part is None:
                return None
            steps += part
    return steps


# What they give is a part of the document, of the expression, or a truth value.
_NODES = frozenset(
    {"field", "subexpression", "index_expression", "index", "identity", "current", "literal", "pipe"}
    | {"comparator", "and_expression", "or_expression", "not_expression"}
)


def _expression_steps(expression: str) -> int | None:
    steps, left = 0, [cast("dict[str, Any]", _compiled(expression).parsed)]
    while left:
        node = left.pop()
        if node["type"] not in _NODES and (node["type"], node.get("value")) != ("function_expression", "length"):
            return None
        steps += 1
        left.extend(node["children"])
    return steps
