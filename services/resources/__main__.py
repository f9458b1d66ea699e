"""`python -m services.resources`: the service in a process of its own."""

import asyncio
import sys

from theory.wire import process

process.prepare()  # before anything imports gRPC

from services.resources.assembly import assemble  # noqa: E402
from services.resources.config import ResourcesConfig  # noqa: E402
from theory.core.errors import TheoryError  # noqa: E402
from theory.wire.identity import ServiceKeys  # noqa: E402
from theory.wire.server import serve  # noqa: E402
from theory.wire.telemetry import configure_logging  # noqa: E402


async def run(config: ResourcesConfig) -> None:
    """Serve until a signal."""
    keys = ServiceKeys.load_or_create(config.home)
    await serve([await assemble(config)], url=config.url, admin_url=config.admin_url, keys=keys)


if __name__ == "__main__":
    configure_logging()
    try:
        asyncio.run(run(ResourcesConfig.load()))
    except TheoryError as error:
        sys.exit(f"{error.reason}: {error.message}")
