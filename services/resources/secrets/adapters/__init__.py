"""Where secrets may lie, and the one table that chooses."""

from collections.abc import Mapping
from typing import cast

from services.drivers.choice import module_for
from services.drivers.opening import Opening
from services.resources.secrets.ports import SecretSource

MODULE_BY_SCHEME: Mapping[str, str] = {
    "aws-secrets": "services.resources.secrets.adapters.aws",
    "dotenv": "services.resources.secrets.adapters.dotenv",
    "env": "services.resources.secrets.adapters.env",
    "modal": "services.resources.secrets.adapters.modal",
}


async def open_source(url: str, opening: Opening) -> SecretSource:
    """The source that `url` names, ready to use; `Invalid` (`ADAPTER_UNKNOWN`) where the table has no such scheme."""
    return cast("SecretSource", await module_for(url, MODULE_BY_SCHEME).open(url, opening))
