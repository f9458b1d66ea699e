"""Sizes of blobs that are known to be stored, for a while: what the rules may ask inside a transaction."""

import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping

from theory.core.cid import Cid
from theory.core.clock import Clock

TRUST_S = 60.0
"""How long an answer of the store is believed."""
LASTING_S = 20.0
"""What is left of that for a transaction to begin in, and to ask."""
MAX_KNOWN = 1 << 17
"""More than one request can name."""


class KnownSizes:
    """The last blobs that were seen in the store. That one is missing is never remembered. Safe on any thread."""

    def __init__(self, clock: Clock, *, limit: int = MAX_KNOWN) -> None:
        self._clock = clock
        self._limit = limit
        self._lock = threading.Lock()
        self._seen: OrderedDict[Cid, tuple[int, float]] = OrderedDict()

    def note(self, size_by_cid: Mapping[Cid, int]) -> None:
        """These were just seen."""
        until = self._clock.monotonic() + TRUST_S
        with self._lock:
            for cid, size in size_by_cid.items():
                self._seen[cid] = size, until
                self._seen.move_to_end(cid)
            while len(self._seen) > self._limit:
                self._seen.popitem(last=False)

    def forget(self, cids: Collection[Cid]) -> None:
        """These are gone."""
        with self._lock:
            for cid in cids:
                self._seen.pop(cid, None)

    def sizes(self, cids: Collection[Cid], *, for_s: float = 0) -> Mapping[Cid, int]:
        """The sizes of those that are known, and will be for that long."""
        at = self._clock.monotonic() + for_s
        with self._lock:
            found = {cid: seen for cid in cids if (seen := self._seen.get(cid)) is not None}
        return {cid: size for cid, (size, until) in found.items() if until > at}
