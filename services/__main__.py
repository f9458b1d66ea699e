"""`python -m services`: all five services in one process, behind one address."""

import sys

from theory.wire.process import prepare


def main() -> int:
    """Serve registry, artifacts, resources, ledger and executor at `THEORY_URL`, else at a socket in the home."""
    prepare()
    from services.embedded import assemblies, databases  # noqa: PLC0415 - gRPC is imported after `prepare`
    from services.launch import launch  # noqa: PLC0415
    from services.settings import EmbeddedSettings  # noqa: PLC0415

    return launch(EmbeddedSettings, assemblies, databases)


if __name__ == "__main__":
    sys.exit(main())
