"""`python -m tests.integration.talkative MODULE`: a process of services that logs whatever anything in it can log."""

import importlib
import logging
import sys

from theory.wire.process import prepare


def main() -> int:
    """Serve as `python -m MODULE` does."""
    prepare()
    from services import launch  # noqa: PLC0415 - gRPC is imported after `prepare`
    from theory.wire.telemetry import configure_logging  # noqa: PLC0415

    def configured() -> None:
        configure_logging("DEBUG")
        logging.getLogger("sqlalchemy.engine").setLevel(logging.DEBUG)  # statements, what is bound in them, and rows

    # A server's level is no setting: nobody but this test has such a log.
    setattr(launch, "configure_logging", configured)  # noqa: B010 - a name that the module does not export
    module = sys.argv.pop()  # the rest is the module's own
    served: int = importlib.import_module(f"{module}.__main__").main()
    return served


if __name__ == "__main__":
    sys.exit(main())
