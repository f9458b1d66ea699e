"""`python -m services.ledger`: the ledger in a process of its own."""

import sys

from theory.wire.process import prepare


def main() -> int:
    """Serve the ledger as its environment says."""
    prepare()
    from services.launch import launch  # noqa: PLC0415 - gRPC is imported after `prepare`
    from services.ledger.assembly import assemble, databases  # noqa: PLC0415
    from services.ledger.config import LedgerConfig  # noqa: PLC0415

    return launch(LedgerConfig, lambda config: [lambda: assemble(config)], databases)


if __name__ == "__main__":
    sys.exit(main())
