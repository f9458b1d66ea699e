"""`python -m tests.drills.server`: the five services in one process that kills itself at a named point.

`DRILL_KILL_AT` names the point, `DRILL_KILL_COUNT` which time it must be reached (default 1).
"""

import os
import signal
import sys
from collections.abc import Callable

from theory.wire.process import prepare


def _killer() -> Callable[[str], None]:
    """What the executor calls at each of its points."""
    target, left = os.environ.get("DRILL_KILL_AT", ""), int(os.environ.get("DRILL_KILL_COUNT", "1"))

    def reach(point: str) -> None:
        nonlocal left
        if point == target:
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    return reach


def main() -> int:
    """Serve at the home's socket, as `python -m services` does."""
    prepare()
    from services.embedded import assemblies  # noqa: PLC0415 - gRPC is imported after `prepare`
    from services.launch import launch  # noqa: PLC0415
    from services.settings import EmbeddedSettings  # noqa: PLC0415

    return launch(EmbeddedSettings, lambda shared: assemblies(shared, _killer()))


if __name__ == "__main__":
    sys.exit(main())
