"""`python -m services.executor`: the executor alone."""

import sys

from theory.wire.process import prepare


def main() -> int:
    """Serve the executor as its environment says."""
    prepare()
    from services.executor.assembly import assemble, databases  # noqa: PLC0415 - gRPC is imported after `prepare`
    from services.executor.config import ExecutorConfig  # noqa: PLC0415
    from services.launch import launch  # noqa: PLC0415

    return launch(ExecutorConfig, lambda config: [lambda: assemble(config)], databases)


if __name__ == "__main__":
    sys.exit(main())
