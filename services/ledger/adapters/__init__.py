"""The stores that can keep the ledger's books, by the scheme of their address."""

from collections.abc import Mapping
from typing import cast

from services.drivers.choice import module_for
from services.ledger.ports import LedgerStore
from theory.core.secret import Secret

MODULE_BY_SCHEME: Mapping[str, str] = {
    "memory": "services.ledger.adapters.memory",
    "sqlite": "services.ledger.adapters.sql",
    "postgresql": "services.ledger.adapters.sql",
}


async def open_store(url: str, secret: Secret | None = None) -> LedgerStore:
    """The store that `url` names, ready to use; `secret` is the password of a server.

    `Invalid` (`ADAPTER_UNKNOWN`) for a scheme that is not in the table.
    """
    return cast("LedgerStore", await module_for(url, MODULE_BY_SCHEME).open(url, secret))
