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
    from services.artifacts import assembly as artifacts
    from services.artifacts.config import ArtifactsConfig
    from services.executor import assembly as executor
    from services.executor.config import ExecutorConfig
    from services.launch import launch
    from services.ledger import assembly as ledger
    from services.ledger.config import LedgerConfig
    from services.registry import assembly as registry
    from services.registry.config import RegistryConfig
    from services.resources import assembly as resources
    from services.resources.config import ResourcesConfig
    from services.settings import EmbeddedSettings

    return launch(
        EmbeddedSettings,
        lambda shared: [
            lambda: ledger.assemble(LedgerConfig.embedded(shared.home, shared.url)),
            lambda: registry.assemble(RegistryConfig.embedded(shared.home, shared.url)),
            lambda: artifacts.assemble(ArtifactsConfig.embedded(shared.home, shared.url)),
            lambda: resources.assemble(ResourcesConfig.embedded(shared.home, shared.url)),
            lambda: executor.assemble(ExecutorConfig.embedded(shared.home, shared.url), reach=_killer()),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
