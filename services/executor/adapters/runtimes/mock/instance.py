"""The smallest value that a JSON Schema accepts, as far as that can be told without searching."""

from collections.abc import Mapping, Sequence
from typing import cast

from theory.core.jcs import JSON

_MAX_DEPTH = 32
_TEXT_BY_FORMAT: Mapping[str, str] = {
    "date": "2000-01-01",
    "date-time": "2000-01-01T00:00:00Z",
    "email": "mock@example.org",
    "time": "00:00:00Z",
    "uri": "https://example.org/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_KINDS_BY_KEYWORD = {
    "properties": "object",
    "required": "object",
    "items": "array",
    "minItems": "array",
    "minimum": "integer",
    "minLength": "string",
}


def minimal_instance(schema: JSON) -> JSON:
    """A value with what is required and nothing else.

    Knows `const`, `enum`, `default`, `examples`, `type`, the lower bounds, `required`, `items`, `allOf`, the first of
    `anyOf` and `oneOf`, and references within the schema. A `pattern` needs an example; `not` and `if` are passed over.
    """
    return _Generator(schema).value(schema, 0)


class _Generator:
    def __init__(self, root: JSON) -> None:
        self._root = root

    def value(self, schema: JSON, depth: int) -> JSON:
        if depth > _MAX_DEPTH or not isinstance(schema, Mapping):
            return {}
        merged = self._merged(schema, depth)
        given = [merged[keyword] for keyword in ("const", "default") if keyword in merged]
        for keyword in ("enum", "examples"):
            choices = merged.get(keyword)
            given += choices[:1] if isinstance(choices, Sequence) else []
        return given[0] if given else self._made(merged, depth)

    def _made(self, schema: Mapping[str, JSON], depth: int) -> JSON:
        match _kind(schema):
            case "array":
                return self._array(schema, depth)
            case "string":
                return _text(schema)
            case "integer" | "number":
                return _number(schema)
            case "boolean":
                return False
            case "null":
                return None
            case _:
                return self._object(schema, depth)

    def _merged(self, schema: Mapping[str, JSON], depth: int) -> Mapping[str, JSON]:
        """The schema with its references and what it is composed of laid over each other."""
        parts: list[JSON] = []
        if isinstance(reference := schema.get("$ref"), str):
            parts.append(self._referred(reference))
        for keyword in ("allOf", "anyOf", "oneOf"):
            choices = schema.get(keyword)
            if isinstance(choices, Sequence) and not isinstance(choices, str) and choices:
                parts += choices if keyword == "allOf" else choices[:1]
        merged = dict(schema)
        for part in parts:
            if isinstance(part, Mapping) and depth < _MAX_DEPTH:
                merged = _laid_over(merged, self._merged(part, depth + 1))
        return merged

    def _referred(self, reference: str) -> JSON:
        at = self._root
        if not reference.startswith("#"):
            return {}
        for step in reference.removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(at, Mapping) or name not in at:
                return {}
            at = at[name]
        return at

    def _object(self, schema: Mapping[str, JSON], depth: int) -> JSON:
        properties, required = schema.get("properties"), schema.get("required")
        known = properties if isinstance(properties, Mapping) else {}
        names = [name for name in required if isinstance(name, str)] if isinstance(required, Sequence) else []
        return {name: self.value(known.get(name, {}), depth + 1) for name in names}

    def _array(self, schema: Mapping[str, JSON], depth: int) -> JSON:
        first = schema.get("prefixItems")
        given = list(first) if isinstance(first, Sequence) else []
        count = schema.get("minItems")
        wanted = max(count if isinstance(count, int) else 0, 0)
        items = [*given, *[schema.get("items", {})] * max(0, wanted - len(given))]
        return [self.value(each, depth + 1) for each in items[:wanted]]


def _laid_over(one: Mapping[str, JSON], other: Mapping[str, JSON]) -> dict[str, JSON]:
    merged = {**other, **one}
    properties = [each["properties"] for each in (other, one) if isinstance(each.get("properties"), Mapping)]
    if properties:
        merged["properties"] = {
            name: schema for each in properties for name, schema in cast("Mapping[str, JSON]", each).items()
        }
    required = [each["required"] for each in (other, one) if isinstance(each.get("required"), Sequence)]
    if required:
        merged["required"] = list(dict.fromkeys(name for each in required for name in cast("Sequence[str]", each)))
    return merged


def _kind(schema: Mapping[str, JSON]) -> str:
    kind = schema.get("type")
    if isinstance(kind, str):
        return kind
    if isinstance(kind, Sequence):
        return next((str(each) for each in kind if each != "null"), "null")
    return next((found for keyword, found in _KINDS_BY_KEYWORD.items() if keyword in schema), "")


def _text(schema: Mapping[str, JSON]) -> str:
    form, least = schema.get("format"), schema.get("minLength")
    text = _TEXT_BY_FORMAT.get(form, "mock") if isinstance(form, str) else "mock"
    most = schema.get("maxLength")
    text = text.ljust(least, "x") if isinstance(least, int) else text
    return text[:most] if isinstance(most, int) else text


def _number(schema: Mapping[str, JSON]) -> JSON:
    step = schema.get("multipleOf")
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    value: int | float = 0
    if isinstance(high, int | float) and high < value:
        value = high
    if isinstance(below, int | float) and below <= value:
        value = below - 1
    if isinstance(low, int | float) and low > value:
        value = low
    if isinstance(above, int | float) and above >= value:
        value = above + 1
    if isinstance(step, int | float) and step > 0:
        value = -(-value // step) * step
    return value
