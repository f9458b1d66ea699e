"""What the artifact store may be told, and what it is told by default."""

from pathlib import Path

import pytest

from services.artifacts.config import ArtifactsConfig
from theory.core.errors import Invalid


def test_everything_is_kept_in_the_home_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEORY_HOME", str(tmp_path))
    config = ArtifactsConfig.load()
    assert config.blobs_url == f"file://{tmp_path}/artifacts/blobs"
    assert config.database_url == f"sqlite:///{tmp_path}/artifacts.db"
    assert config.streams_url == f"sqlite:///{tmp_path}/streams.db"


def test_a_home_with_strange_characters_makes_a_proper_address(tmp_path: Path) -> None:
    config = ArtifactsConfig.load({"home": tmp_path / "a b?c#d"})
    assert config.blobs_url == f"file://{tmp_path}/a%20b%3Fc%23d/artifacts/blobs"


def test_embedded_it_finds_the_ledger_at_the_shared_address(tmp_path: Path) -> None:
    config = ArtifactsConfig.embedded(tmp_path, "unix:///run/theory.sock")
    assert (config.url, config.ledger_url) == ("unix:///run/theory.sock", "unix:///run/theory.sock")


@pytest.mark.parametrize(
    ("url", "data_url"),
    [
        ("unix:///run/theory.sock", "http://127.0.0.1:0"),
        ("grpc://127.0.0.1:7000", "http://127.0.0.1:0"),
        ("grpc://0.0.0.0:7000", "off"),
    ],
)
def test_bytes_go_by_http_where_only_this_machine_is_served(tmp_path: Path, url: str, data_url: str) -> None:
    assert ArtifactsConfig.load({"home": tmp_path, "url": url}).data_url == data_url


def test_the_environment_says_where_things_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEORY_ARTIFACTS_BLOBS_URL", "memory:")
    monkeypatch.setenv("THEORY_ARTIFACTS_DOUBT_S", "5")
    config = ArtifactsConfig.load()
    assert (config.blobs_url, config.doubt_s) == ("memory:", 5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("THEORY_ARTIFACTS_BLOB_URL", "memory:"),
        ("THEORY_ARTIFACTS_DOUBT_S", "-7"),
        ("THEORY_ARTIFACTS_MAX_BLOB_BYTES", "1024"),
        ("THEORY_ARTIFACTS_DATABASE_URL", "postgresql://me:secret@host/db"),
        ("THEORY_ARTIFACTS_STREAMS_URL", "postgresql://me:secret@host/db"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(Invalid) as refused:
        ArtifactsConfig.load()
    assert name in refused.value.message
    assert value not in refused.value.message
