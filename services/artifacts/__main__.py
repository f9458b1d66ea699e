"""`python -m services.artifacts`: the artifact store in a process of its own."""

import sys

from theory.wire.process import prepare


def main() -> int:
    """Serve the artifact store as its environment says."""
    prepare()
    from services.artifacts.assembly import assemble, databases  # noqa: PLC0415 - gRPC is imported after `prepare`
    from services.artifacts.config import ArtifactsConfig  # noqa: PLC0415
    from services.launch import launch  # noqa: PLC0415

    return launch(ArtifactsConfig, lambda config: [lambda: assemble(config)], databases)


if __name__ == "__main__":
    sys.exit(main())
