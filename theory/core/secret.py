"""Secret values: a type that prints, logs and serialises as the secret's name."""

import hmac
from typing import Self


class Secret:
    """A named value that leaves this object only through `reveal`.

    Text, f-strings, logs, tracebacks and pickles get the name; `json.dumps` refuses it, and `default=str` yields the
    name. Copies are the object itself, so no copy can lose the rule.
    """

    __slots__ = ("_value", "name")

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self._value = value

    def reveal(self) -> str:
        """The value. Hand it to the one call that needs it and keep no copy."""
        return self._value

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"

    def __format__(self, spec: str) -> str:
        return format(self.name, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return self.name == other.name and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self.name)

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (self.name,)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self
