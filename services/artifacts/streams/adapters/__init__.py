"""Which adapters keep streams: the one table that chooses among them."""

from collections.abc import Mapping
from typing import cast

from services.artifacts.streams.ports import StreamStore
from services.drivers.choice import module_for
from theory.core.clock import Clock
from theory.core.secret import Secret

MODULE_BY_SCHEME: Mapping[str, str] = {
    "memory": "services.artifacts.streams.adapters.memory",
    "sqlite": "services.artifacts.streams.adapters.sql",
    "postgresql": "services.artifacts.streams.adapters.sql",
}


async def open_streams(url: str, clock: Clock, secret: Secret | None = None) -> StreamStore:
    """The table of streams that `url` names, ready to use; `secret` is the password of its user.

    `Invalid` (`ADAPTER_UNKNOWN`) for an unknown scheme.
    """
    return cast("StreamStore", await module_for(url, MODULE_BY_SCHEME).open(url, clock, secret))
