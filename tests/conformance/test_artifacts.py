"""Every artifact store keeps every promise, over a socket, beside a ledger."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.artifacts.adapters.bindings import MODULE_BY_SCHEME as BINDINGS
from services.artifacts.adapters.blobs import MODULE_BY_SCHEME as BLOBS
from services.artifacts.assembly import assemble
from services.artifacts.config import ArtifactsConfig
from services.ledger import assembly as ledger
from services.ledger.config import LedgerConfig
from theory.testing.case import Case, Target, cases_in
from theory.testing.cases import artifacts, bindings, blobs
from theory.wire.identity import ServiceKeys
from theory.wire.server import running

CASES = [each for module in (blobs, artifacts, bindings) for each in cases_in(module)]
PAIRS = [("memory", "memory"), ("file", "sqlite")]


def test_every_adapter_is_in_a_pair() -> None:
    assert {blob for blob, _ in PAIRS} == set(BLOBS)
    assert {binding for _, binding in PAIRS} == set(BINDINGS)


@pytest.fixture(params=PAIRS, ids="-".join)
async def target(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Target]:
    blob, binding = request.param
    url = f"unix://{tmp_path}/theory.sock"
    config = ArtifactsConfig.load(
        {
            "home": tmp_path,
            "ledger_url": url,
            "blobs_url": {"memory": "memory:", "file": f"file://{tmp_path}/blobs"}[blob],
            "database_url": {"memory": "memory:", "sqlite": f"sqlite:///{tmp_path}/artifacts.db"}[binding],
        }
    )
    units = [
        await ledger.assemble(LedgerConfig.load({"home": tmp_path, "database_url": "memory:"})),
        await assemble(config),
    ]
    async with running(units, url=url, keys=ServiceKeys.load_or_create(tmp_path)) as server:
        yield Target(server.channel, frozenset({"LEDGER"}))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_promise(case: Case, target: Target) -> None:
    assert not case.missing(target)
    await case.check(target)
