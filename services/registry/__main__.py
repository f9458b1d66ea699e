"""`python -m services.registry`: the registry in a process of its own."""

import sys

from theory.wire.process import prepare


def main() -> int:
    """Serve the registry as its environment says."""
    prepare()
    from services.launch import launch  # noqa: PLC0415 - gRPC is imported after `prepare`
    from services.registry.assembly import assemble, databases  # noqa: PLC0415
    from services.registry.config import RegistryConfig  # noqa: PLC0415

    return launch(RegistryConfig, lambda config: [lambda: assemble(config)], databases)


if __name__ == "__main__":
    sys.exit(main())
