"""The executor's databases by URL scheme. Adding one is a module here and a line below."""

from collections.abc import Mapping
from typing import cast

from services.drivers.choice import module_for
from services.executor.ports import ExecutorState

MODULE_BY_SCHEME: Mapping[str, str] = {
    "memory": "services.executor.adapters.state.sql",
    "sqlite": "services.executor.adapters.state.sql",
}


async def open_state(url: str) -> ExecutorState:
    """The state that `url` names, ready to use; `Invalid` (`ADAPTER_UNKNOWN`) for another scheme."""
    return cast("ExecutorState", await module_for(url, MODULE_BY_SCHEME).open(url))
