"""`python -m tests.drills.server`: the five services in one process that kills itself at a named point.

`kill_at` in the home names the point, and which time it must be reached from then on; a test may write it at any time.
"""

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from theory.wire.process import prepare


def killer(order: Path) -> Callable[[str], None]:
    """What is to be called at each point."""
    reached: Counter[str] = Counter()

    def reach(point: str) -> None:
        if not order.exists():
            return
        target, count = order.read_text().split()
        reached[point] += 1
        if point == target and reached[point] == int(count):
            os.kill(os.getpid(), signal.SIGKILL)

    return reach


def main() -> int:
    """Serve at the home's socket, as `python -m services` does."""
    prepare()
    from services.embedded import assemblies, databases  # noqa: PLC0415 - gRPC is imported after `prepare`
    from services.launch import launch  # noqa: PLC0415
    from services.settings import EmbeddedSettings  # noqa: PLC0415

    return launch(EmbeddedSettings, lambda shared: assemblies(shared, killer(shared.home / "kill_at")), databases)


if __name__ == "__main__":
    sys.exit(main())
