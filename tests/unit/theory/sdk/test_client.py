"""The one client of an installation."""

from pathlib import Path

import pytest

from tests.unit.theory.sdk.conftest import Installation
from theory.core.errors import Invalid, Unavailable
from theory.core.ids import PlanId
from theory.sdk.client import Theory


async def test_services_at_one_address_share_a_connection(installation: Installation) -> None:
    theory = installation.theory
    assert theory.channel("ledger") is theory.channel("artifacts")
    assert theory.ledger is theory.ledger
    assert (await theory.ledger.capabilities()).adapter == "sql"
    assert (await theory.executor.get_plan(PlanId("p-1"))).name == "media"


async def test_a_service_may_answer_elsewhere(installation: Installation, tmp_path: Path) -> None:
    urls = {"ledger": installation.theory.url}
    async with Theory.connect(f"unix://{tmp_path}/nobody.sock", url_by_service=urls) as theory:
        assert (await theory.ledger.capabilities()).durable
        assert theory.url_of("executor").endswith("nobody.sock")


@pytest.mark.slow  # gRPC tries again before it gives up
async def test_an_address_that_nobody_listens_at_is_unavailable(tmp_path: Path) -> None:
    async with Theory.connect(f"unix://{tmp_path}/nobody.sock") as theory:
        with pytest.raises(Unavailable) as caught:
            await theory.ledger.capabilities()
    assert caught.value.reason == "SERVICE_UNREACHABLE"


async def test_an_address_that_is_none_is_refused_when_it_is_used() -> None:
    async with Theory.connect("http://localhost:1") as theory:
        with pytest.raises(Invalid):
            theory.channel("ledger")


async def test_without_an_address_it_is_the_socket_of_the_home_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Theory.connect().url.endswith("/theory.sock")
