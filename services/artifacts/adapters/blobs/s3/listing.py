"""Many objects at once: a page of the bucket's listing tells as much as a thousand questions, where names lie close."""

import asyncio
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence

from services.artifacts.adapters.blobs.s3.client import Bucket
from theory.core.errors import TheoryError

LEAST = 500
"""So many names are looked for in pages; fewer are asked for one by one."""
WORTH = 100
"""A page costs about as much as so many questions (measured): one that answers fewer is the last."""
_PAGE = 1_000
"""The most that a page shows."""
_PARTS = 4
"""How many ranges of names are looked through side by side."""


async def listed(bucket: Bucket, below: str, keys: Collection[str]) -> Mapping[str, int]:
    """The lengths of objects of a folder that the listing showed. One that is left out may be there all the same.

    It gives up where names lie too far apart for it, and where the store refuses: the caller asks for the rest.
    """
    if len(keys) < LEAST:
        return {}
    wanted = sorted(keys)
    size = -(-len(wanted) // _PARTS)
    parts = [wanted[start : start + size] for start in range(0, len(wanted), size)]
    found: dict[str, int] = {}
    for each in await asyncio.gather(*(_looked_through(bucket, below, part) for part in parts)):
        found.update(each)
    return found


async def _looked_through(bucket: Bucket, below: str, wanted: Sequence[str]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    at = 0
    while at < len(wanted):
        try:
            # Behind all but the last character of a name the name itself comes, or at most a few before it.
            listed = await bucket.listed(below, wanted[at][:-1], _PAGE)
        except TheoryError:
            break
        page = {key: size for key, size, _ in listed}
        behind = bisect_right(wanted, max(page), at) if page else at
        seen = {key: page[key] for key in wanted[at:behind] if key in page}
        found.update(seen)
        if len(seen) < WORTH:
            break
        at = behind
    return found
