"""The stores that can keep the ledger's books, by the scheme of their address."""

from collections.abc import Mapping
from typing import cast

from services.drivers.choice import module_for
from services.ledger.ports import LedgerStore

MODULE_BY_SCHEME: Mapping[str, str] = {
    "memory": "services.ledger.adapters.memory",
    "sqlite": "services.ledger.adapters.sql",
}


async def open_store(url: str) -> LedgerStore:
    """The store that `url` names, ready to use; `Invalid` (`ADAPTER_UNKNOWN`) for a scheme that is not in the table."""
    return cast("LedgerStore", await module_for(url, MODULE_BY_SCHEME).open(url))
