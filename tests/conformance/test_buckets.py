"""Buckets beyond the columns of the page: requests that lead straight into one, and another server that keeps them."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from services.artifacts.assembly import assemble
from services.artifacts.config import ArtifactsConfig
from tests.buckets import Bucket
from tests.conformance.harness import Harness, artifacts_target
from tests.servers import Servers
from theory.core.clock import FakeClock
from theory.core.errors import Invalid
from theory.testing.case import Case
from theory.testing.primitives import cases_of
from theory.testing.report import Outcome, Verdict
from theory.testing.runner import run

CASES = cases_of("artifacts")
BY_HTTP = [each for each in CASES if "DATA_PLANE" in each.needs]
NEEDS_A_CLOCK = frozenset({"CLOCK"})
TIMEOUT_S = 150

Verdicts = Mapping[Case, Verdict]

pytestmark = pytest.mark.slow


def held(harness: Harness, cases: list[Case], blobs_url: str, clock: FakeClock | None, **settings: str) -> Verdicts:
    """What became of each case."""
    stores = {"blobs_url": blobs_url, "database_url": "memory:", "streams_url": "memory:", **settings}

    async def verdicts() -> Verdicts:
        async with artifacts_target(harness, stores, clock) as target:
            return {each.case: each for each in (await run(cases, target, timeout_s=TIMEOUT_S)).verdicts}

    return asyncio.run(verdicts())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, servers: Servers) -> Callable[[], Harness]:
    return lambda: Harness(tmp_path_factory.mktemp("h"), servers)


@pytest.fixture(scope="module", params=["s3", pytest.param("minio", marks=pytest.mark.long)])
def by_urls_of_the_store(request: pytest.FixtureRequest, place: Callable[[], Harness], servers: Servers) -> Verdicts:
    store: Bucket = getattr(servers, request.param)()
    return held(place(), BY_HTTP, store.address("urls"), None, data_url="store")


@pytest.fixture(scope="module")
def on_minio(place: Callable[[], Harness], servers: Servers) -> Verdicts:
    return held(place(), CASES, servers.minio().address("promises"), FakeClock())


def require(verdict: Verdict) -> None:
    """Kept, but for what a server's own clock does not let a case see."""
    if verdict.case.needs >= NEEDS_A_CLOCK and verdict.outcome is Outcome.SKIPPED:
        pytest.skip(verdict.why)
    assert verdict.outcome is Outcome.KEPT, verdict.why


@pytest.mark.parametrize("case", BY_HTTP, ids=lambda case: case.name)
def test_urls_of_the_store_keep_the_promises_of_the_data_plane(case: Case, by_urls_of_the_store: Verdicts) -> None:
    require(by_urls_of_the_store[case])


@pytest.mark.long
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_minio_keeps_the_promises_of_the_page(case: Case, on_minio: Verdicts) -> None:
    require(on_minio[case])


async def test_a_store_that_signs_nothing_is_not_asked_to(tmp_path: Path) -> None:
    config = {"home": tmp_path, "blobs_url": "memory:", "database_url": "memory:", "data_url": "store"}
    with pytest.raises(Invalid) as refused:
        await assemble(ArtifactsConfig.load(config))
    assert refused.value.reason == "CONFIG_INVALID"
