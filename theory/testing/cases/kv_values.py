"""Keys as the cases of KV read them."""

from collections.abc import Sequence

from theory.core.errors import TheoryError
from theory.sdk.kv import KVClient


async def values_of(kv: KVClient, plan_id: str, keys: Sequence[str]) -> list[bytes | None]:
    """The values, of which none may be an error."""
    values: list[bytes | None] = []
    for answer in await kv.get_many(plan_id, keys):
        if isinstance(answer, TheoryError):
            raise answer
        values.append(None if answer is None else answer.value)
    return values
