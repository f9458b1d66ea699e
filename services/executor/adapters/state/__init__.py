"""The executor's databases by URL scheme. Adding one is a module here and a line below."""

from collections.abc import Mapping
from typing import cast

from services.drivers.choice import module_for
from services.executor.adapters.state.replica import Replica
from services.executor.ports import ExecutorState

__all__ = ["MODULE_BY_SCHEME", "Replica", "open_state"]

MODULE_BY_SCHEME: Mapping[str, str] = {
    "memory": "services.executor.adapters.state.sql",
    "sqlite": "services.executor.adapters.state.sql",
    "postgresql": "services.executor.adapters.state.sql",
}


async def open_state(url: str, replica: Replica) -> ExecutorState:
    """The state that `url` names, ready to use by `replica`; `Invalid` (`ADAPTER_UNKNOWN`) for another scheme."""
    return cast("ExecutorState", await module_for(url, MODULE_BY_SCHEME).open(url, replica))
