"""`python -m services.resources`: the service in a process of its own."""

import sys

from theory.wire.process import prepare


def main() -> int:
    """Serve at `THEORY_RESOURCES_URL`, else at a socket in the home."""
    prepare()
    from services.launch import launch  # noqa: PLC0415 - gRPC is imported after `prepare`
    from services.resources.assembly import assemble, databases  # noqa: PLC0415
    from services.resources.config import ResourcesConfig  # noqa: PLC0415

    return launch(ResourcesConfig, lambda config: [lambda: assemble(config)], databases)


if __name__ == "__main__":
    sys.exit(main())
