"""All five services in one process: which they are, and in which order they start."""

from collections.abc import Callable, Sequence

from services.artifacts import assembly as artifacts
from services.artifacts.config import ArtifactsConfig
from services.drivers.sql.owner import Located
from services.executor import assembly as executor
from services.executor.config import ExecutorConfig
from services.launch import Assemble
from services.ledger import assembly as ledger
from services.ledger.config import LedgerConfig
from services.registry import assembly as registry
from services.registry.config import RegistryConfig
from services.resources import assembly as resources
from services.resources.config import ResourcesConfig
from services.settings import EmbeddedSettings
from theory.core.errors import TheoryError
from theory.wire.server import ServiceUnit


def assemblies(shared: EmbeddedSettings, reach: Callable[[str], None] = lambda _: None) -> Sequence[Assemble]:
    """One per service; what others call comes first: they start in this order and are closed in the reverse one.

    `reach` is called with the name of each point of the executor at which a crash must be survived.
    """
    home, url = shared.home, shared.url
    return [
        _named("ledger", lambda: ledger.assemble(LedgerConfig.embedded(home, url))),
        _named("registry", lambda: registry.assemble(RegistryConfig.embedded(home, url))),
        _named("artifacts", lambda: artifacts.assemble(ArtifactsConfig.embedded(home, url))),
        _named("resources", lambda: resources.assemble(ResourcesConfig.embedded(home, url))),
        _named("executor", lambda: executor.assemble(ExecutorConfig.embedded(home, url), reach=reach)),
    ]


def databases(shared: EmbeddedSettings) -> Sequence[Located]:
    """Where the tables of all five are."""
    home, url = shared.home, shared.url
    return [
        *ledger.databases(LedgerConfig.embedded(home, url)),
        *registry.databases(RegistryConfig.embedded(home, url)),
        *artifacts.databases(ArtifactsConfig.embedded(home, url)),
        *resources.databases(ResourcesConfig.embedded(home, url)),
        *executor.databases(ExecutorConfig.embedded(home, url)),
    ]


def _named(service: str, assemble: Assemble) -> Assemble:
    """`assemble`, where an error says which of the five cannot start."""

    async def assembled() -> ServiceUnit:
        try:
            return await assemble()
        except TheoryError as error:
            raise type(error)(error.reason, f"{service}: {error.message}", **error.metadata) from error

    return assembled
