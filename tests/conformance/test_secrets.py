"""Every source of secrets keeps every promise, over a socket."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.resources.secrets.adapters import MODULE_BY_SCHEME
from tests.conformance.resources_target import resources_target
from theory.testing.case import Case, Target, cases_in
from theory.testing.cases import secrets


def seeded(scheme: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An address for any scheme of the table, with the values of the cases behind it."""
    if scheme == "env":
        for name, value in secrets.SEEDED.items():
            monkeypatch.setenv(f"CASE_{name}", value)
        return "env:CASE_"
    assert scheme == "dotenv"
    file = home / "secrets.env"
    file.touch(mode=0o600)
    file.write_text("".join(f"{name}='{value}'\n" for name, value in secrets.SEEDED.items()))
    return f"dotenv:{file}"


@pytest.fixture(params=sorted(MODULE_BY_SCHEME))
async def target(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Target]:
    url = seeded(request.param, tmp_path, monkeypatch)
    stores = {"kv_url": "memory:", "queue_url": "memory:"}
    async with resources_target(tmp_path, "SEEDED_SECRETS", secrets_url=url, **stores) as made:
        yield made


@pytest.mark.parametrize("case", list(cases_in(secrets)), ids=lambda case: case.name)
async def test_promise(case: Case, target: Target, caplog: pytest.LogCaptureFixture) -> None:
    assert not case.missing(target)
    with caplog.at_level(logging.DEBUG):
        await case.check(target)
    assert not any(value in f"{record.__dict__!r}" for record in caplog.records for value in secrets.SEEDED.values())
