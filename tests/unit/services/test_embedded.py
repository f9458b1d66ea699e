"""The tests of services/embedded.py."""

from pathlib import Path

import pytest

from services.embedded import assemblies
from services.settings import EmbeddedSettings
from theory.core.errors import Invalid


@pytest.mark.parametrize(
    ("at", "service", "variable", "known"),
    [
        (0, "ledger", "THEORY_LEDGER_DATABASE_URL", "memory, postgresql, sqlite"),
        (1, "registry", "THEORY_REGISTRY_DATABASE_URL", "memory, sqlite"),
    ],
)
async def test_an_error_says_which_service_cannot_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, service: str, variable: str, known: str
) -> None:
    monkeypatch.setenv(variable, "mysql://host/db")
    shared = EmbeddedSettings(home=tmp_path, url=f"unix://{tmp_path}/theory.sock")
    with pytest.raises(Invalid) as caught:
        await assemblies(shared)[at]()
    assert caught.value.reason == "ADAPTER_UNKNOWN"
    assert caught.value.message == f"{service}: no adapter has the scheme of this URL: known are {known}"
    assert caught.value.metadata == {"scheme": "mysql"}
