"""Reading a plain document field by field, so that what is wrong with it is said with the path of the field."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import TypeVar, cast

from theory.core.errors import Invalid, TheoryError, shown
from theory.core.jcs import JSON

T = TypeVar("T", str, int, bool)
V = TypeVar("V")
D = TypeVar("D")


class Fields:
    """One object of a document. Whatever is wrong is `Invalid` with the document's `reason` and the `field`'s path.

    An absent field and one that is null are the same.
    """

    def __init__(self, value: object, *, reason: str, at: str = "") -> None:
        self._reason = reason
        self._at = at
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise Invalid(reason, f"an object with named fields is expected, not {_kind(value)}", field=at or "$")
        self._value = cast("Mapping[str, JSON]", value)

    @property
    def document(self) -> Mapping[str, JSON]:
        """The object as it stands."""
        return self._value

    def __contains__(self, name: str) -> bool:
        return self._value.get(name) is not None

    def refusal(self, sentence: str, name: str = "") -> Invalid:
        """The error that says `sentence` of the field `name`, or of the object itself."""
        return Invalid(self._reason, sentence, field=self.path(name) or "$")

    def path(self, name: str) -> str:
        """Where the field `name` stands in the whole document."""
        return f"{self._at}.{name}" if self._at and name else self._at or name

    def only(self, *names: str) -> None:
        """Refuse every field but these: a misspelt name must not pass for an absent one."""
        if stray := sorted(self._value.keys() - set(names)):
            name = shown(stray[0])
            raise self.refusal(no_such_field(name, names), name)

    def get(self, name: str, kind: type[T], default: D) -> T | D:
        """A text, a whole number or a truth value; `default` where it is absent."""
        value = self._value.get(name)
        if value is None:
            return default
        # JSON's true is no number, though Python's is.
        if type(value) is not kind:
            raise self.refusal(f"{_WORD_BY_TYPE[kind]} is expected, not {_kind(value)}", name)
        return value

    def need(self, name: str, kind: type[T]) -> T:
        """A text, a whole number or a truth value, which must be there."""
        value = self.get(name, kind, None)
        if value is None:
            raise self.refusal("the field is missing", name)
        return value

    def whole(self, name: str, default: int, *, low: int = 0, high: int) -> int:
        """A whole number from `low` to `high`."""
        value = self.get(name, int, default)
        if not low <= value <= high:
            raise self.refusal(f"a whole number from {low} to {high} is expected", name)
        return value

    def wholes(self, name: str, *, low: int = 0, high: int) -> tuple[int, ...]:
        """The whole numbers from `low` to `high` of the list in a field."""
        found = tuple(self._list(name))
        for at, each in found:
            if type(each) is not int or not low <= each <= high:
                raise self.refusal(f"a whole number from {low} to {high} is expected", f"{name}[{at}]")
        return tuple(cast("int", each) for _, each in found)

    def parsed(self, name: str, parse: Callable[[str], V], default: D) -> V | D:
        """What `parse` makes of the text; its own errors get this document's reason and the field's path."""
        text = self.get(name, str, None)
        return default if text is None else self.checked(name, parse, text)

    def needed(self, name: str, parse: Callable[[str], V]) -> V:
        """`parsed`, of a field that must be there."""
        return self.checked(name, parse, self.need(name, str))

    def checked(self, name: str, parse: Callable[[D], V], value: D) -> V:
        """What `parse` makes of `value`, which came from the field `name`."""
        try:
            return parse(value)
        except TheoryError as error:
            raise self.refusal(error.message, name) from error

    def raw(self, name: str) -> JSON:
        """The value as it stands; None where it is absent."""
        return self._value.get(name)

    def object(self, name: str) -> "Fields":
        """The object in a field; an empty one where it is absent."""
        value = self._value.get(name)
        return Fields({} if value is None else value, reason=self._reason, at=self.path(name))

    def mapping(self, name: str) -> Mapping[str, JSON]:
        """The object in a field as it stands; an empty one where it is absent."""
        return self.object(name).document

    def objects(self, name: str) -> "Sequence[Fields]":
        """The objects of the list in a field."""
        return [Fields(each, reason=self._reason, at=f"{self.path(name)}[{at}]") for at, each in self._list(name)]

    def texts(self, name: str, parse: Callable[[str], V]) -> tuple[V, ...]:
        """What `parse` makes of the texts of the list in a field."""
        return tuple(self._parsed_item(name, at, each, parse) for at, each in self._list(name))

    def _parsed_item(self, name: str, at: int, item: JSON, parse: Callable[[str], V]) -> V:
        place = f"{name}[{at}]"
        if not isinstance(item, str):
            raise self.refusal(f"a text is expected, not {_kind(item)}", place)
        return self.checked(place, parse, item)

    def _list(self, name: str) -> Iterable[tuple[int, JSON]]:
        value = self._value.get(name)
        if value is None:
            return ()
        if not isinstance(value, list | tuple):
            raise self.refusal(f"a list is expected, not {_kind(value)}", name)
        return enumerate(value)


def no_such_field(name: str, known: Sequence[str]) -> str:
    """The sentence that says so, with the field that was perhaps meant."""
    meant = [f"did you mean {close}?" for close in get_close_matches(name, known, n=1)]
    return " ".join(["there is no such field:", *meant, "known are", ", ".join(known)])


_WORD_BY_TYPE: Mapping[type, str] = {
    str: "a text",
    int: "a whole number",
    bool: "true or false",
    float: "a fraction",
    list: "a list",
    tuple: "a list",
    dict: "an object",
    type(None): "null",
}


def _kind(value: object) -> str:
    """What a value of a document is, in a word or two."""
    return _WORD_BY_TYPE.get(type(value), "something else")
