"""`python -m services`: all five services in one process, behind one address."""

import sys

from theory.wire.process import prepare


def main() -> int:
    """Serve registry, artifacts, resources, ledger and executor at `THEORY_URL`, else at a socket in the home."""
    prepare()
    from services.artifacts import assembly as artifacts  # noqa: PLC0415 - gRPC is imported after `prepare`
    from services.artifacts.config import ArtifactsConfig  # noqa: PLC0415
    from services.executor import assembly as executor  # noqa: PLC0415
    from services.executor.config import ExecutorConfig  # noqa: PLC0415
    from services.launch import launch  # noqa: PLC0415
    from services.ledger import assembly as ledger  # noqa: PLC0415
    from services.ledger.config import LedgerConfig  # noqa: PLC0415
    from services.registry import assembly as registry  # noqa: PLC0415
    from services.registry.config import RegistryConfig  # noqa: PLC0415
    from services.resources import assembly as resources  # noqa: PLC0415
    from services.resources.config import ResourcesConfig  # noqa: PLC0415
    from services.settings import EmbeddedSettings  # noqa: PLC0415

    # What others call comes first: units start in this order and are closed in the reverse one.
    return launch(
        EmbeddedSettings,
        lambda shared: [
            lambda: ledger.assemble(LedgerConfig.embedded(shared.home, shared.url)),
            lambda: registry.assemble(RegistryConfig.embedded(shared.home, shared.url)),
            lambda: artifacts.assemble(ArtifactsConfig.embedded(shared.home, shared.url)),
            lambda: resources.assemble(ResourcesConfig.embedded(shared.home, shared.url)),
            lambda: executor.assemble(ExecutorConfig.embedded(shared.home, shared.url)),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
