"""Where a command looks for the services, and how it names plans."""

import io
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.unit.theory.sdk.servicer import PLAN, ScriptedExecutor, plan
from theory.cli.environment import read
from theory.cli.output import Output
from theory.cli.session import Session, plan_named, world_named
from theory.core.errors import Invalid, NotFound
from theory.wire.identity import ServiceKeys
from theory.wire.server import running


def _session(home: Path, *, url: str | None = None, variables: Mapping[str, str] | None = None) -> Session:
    output = Output(as_json=False, colour=False, stdout=io.StringIO(), stderr=io.StringIO())
    return Session(environment=read(variables or {}), output=output, home=home, url=url)


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("h")


def test_the_option_wins_over_variables_and_those_of_a_service_over_that_of_all(home: Path) -> None:
    variables = {"THEORY_URL": "grpc://all:1", "THEORY_LEDGER_URL": "grpc://ledger:1"}
    assert _session(home, url="grpc://option:1", variables=variables).url_of("ledger") == "grpc://option:1"
    assert _session(home, variables=variables).url_of("ledger") == "grpc://ledger:1"
    assert _session(home, variables=variables).url_of("executor") == "grpc://all:1"
    assert _session(home).url_of("executor") == f"unix://{home}/theory.sock"


def test_a_service_that_runs_alone_is_found_at_its_own_socket(home: Path) -> None:
    session = _session(home)
    (home / "ledger.sock").touch()
    assert session.listening("ledger")
    assert session.url_of("ledger") == f"unix://{home}/ledger.sock"
    (home / "theory.sock").touch()
    assert session.url_of("ledger") == f"unix://{home}/theory.sock"


def test_only_a_socket_that_is_not_there_is_known_not_to_answer(home: Path) -> None:
    assert not _session(home).listening("executor")
    assert _session(home, url="grpc://127.0.0.1:1").listening("executor")


def test_mounts_keep_their_bytes_in_the_home_that_is_there_else_among_the_users_caches(home: Path) -> None:
    variables = {"XDG_CACHE_HOME": "/var/me"}
    assert _session(home, variables=variables).cache == home / "cache"
    assert _session(home / "none", variables=variables).cache == Path("/var/me/theory/blobs")


async def test_the_newest_plan_has_a_name(home: Path) -> None:
    executor = ScriptedExecutor(plans=[plan(world="shared"), plan(plan_id="p-0")])
    async with running([executor.unit()]) as server, _session(home, url=server.url).connect() as theory:
        assert (await plan_named(theory, "latest")).text == PLAN
        assert (await plan_named(theory, "p-0")).text == "p-0"
        assert await world_named(theory, "latest") == "shared"
        assert await world_named(theory, "other") == "other"
        with pytest.raises(Invalid):
            await plan_named(theory, "No Plan")
        executor.plans = []
        with pytest.raises(NotFound):
            await plan_named(theory, "latest")


async def test_over_tcp_the_token_comes_from_the_key_of_the_home(home: Path) -> None:
    keys = ServiceKeys.load_or_create(home)
    executor = ScriptedExecutor()
    async with (
        running([executor.unit()], url="grpc://127.0.0.1:0", keys=keys) as server,
        _session(home, url=server.url).connect() as theory,
    ):
        assert (await plan_named(theory, "latest")).text == PLAN
