"""A source of secrets that gives references alone: nobody can read a value, or tell that it changed."""

from collections.abc import Mapping, Sequence

from services.drivers.opening import Opening
from services.resources.secrets.ports import SecretSource
from theory.core.adapters import SecretReference

SCHEME = "references"
"""What tests put into the table of adapters, for this module."""


async def open(url: str, opening: Opening) -> SecretSource:  # noqa: A001 - so adapters are opened
    """`references:`; every name exists."""
    return SecretSource("references", binder=_References())


class _References:
    async def bind(self, names: Sequence[str]) -> Mapping[str, SecretReference]:
        return {name: SecretReference("object", name) for name in names}
