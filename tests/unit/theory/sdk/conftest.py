"""A small installation: a real ledger and real artifacts on files, and an executor that says what a test wrote."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.artifacts import assembly as artifacts
from services.artifacts.config import ArtifactsConfig
from services.ledger import assembly as ledger
from services.ledger.config import LedgerConfig
from tests.unit.theory.sdk.servicer import ScriptedExecutor
from theory.sdk.client import Theory
from theory.wire.home import socket_url
from theory.wire.identity import Role, ServiceKeys
from theory.wire.server import running


@dataclass
class Installation:
    """What a test works with."""

    home: Path
    theory: Theory
    as_executor: Theory
    """The same services, called with the executor's identity."""
    executor: ScriptedExecutor


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    url = socket_url(tmp_path, "theory")
    executor = ScriptedExecutor()
    units = [
        await ledger.assemble(LedgerConfig.embedded(tmp_path, url)),
        await artifacts.assemble(ArtifactsConfig.embedded(tmp_path, url)),
        executor.unit(),
    ]
    keys = ServiceKeys.load_or_create(tmp_path)
    async with (
        running(units, url=url, keys=keys),
        Theory.connect(url) as theory,
        Theory.connect(url, token=keys.token_of(Role.EXECUTOR)) as as_executor,
    ):
        yield Installation(tmp_path, theory, as_executor, executor)
