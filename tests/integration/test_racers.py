"""Many writers of one path, again and again: exactly one wins, the others learn who, and no reader sees a part."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path

import pytest

from services.artifacts.assembly import assemble
from services.artifacts.config import ArtifactsConfig
from tests.buckets import S3
from tests.servers import AWS_VARIABLES
from theory.core.artifact import Artifact
from theory.core.cid import Cid
from theory.core.errors import AlreadyExists, NotFound, TheoryError
from theory.core.world_path import WorldName, WorldPath
from theory.sdk.artifacts import ArtifactPut, ArtifactsClient
from theory.wire.server import running

pytestmark = pytest.mark.slow

RACERS, READERS = 32, 8
BODY_BYTES = 20_000
WORLD = WorldName("w")


@pytest.fixture(params=["memory", "file", "s3"])
async def clients(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[ArtifactsClient]]:
    """A store on each kind of blobs, behind a socket, and four connections to it."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        url = {"memory": "memory:", "file": f"file://{tmp_path}/blobs"}.get(request.param, "")
        if not url:
            for name, value in AWS_VARIABLES.items():
                patch.setenv(name, value)
            url = stack.enter_context(S3()).address("racers")
        database = f"sqlite:///{tmp_path}/artifacts.db"
        config = ArtifactsConfig.load({"home": tmp_path, "blobs_url": url, "database_url": database})
        async with running([await assemble(config)]) as service:
            yield [ArtifactsClient(service.channel()) for _ in range(4)]


# The batch forms make an RPC of each call; single calls of one moment would share one.


async def _written(client: ArtifactsClient, path: WorldPath, body: bytes) -> Artifact | TheoryError:
    (answer,) = await client.put_many(WORLD, [ArtifactPut(path, body)])
    return answer


async def _seen(client: ArtifactsClient, path: WorldPath) -> bytes | None:
    (answer,) = await client.read_many(WORLD, [path])
    if isinstance(answer, TheoryError):
        assert isinstance(answer, NotFound), answer
        return None
    return answer[1]


@pytest.mark.parametrize("rounds", [12, pytest.param(300, marks=pytest.mark.long)])
async def test_of_many_writers_of_one_path_exactly_one_wins(clients: list[ArtifactsClient], rounds: int) -> None:
    each_client = cycle(clients)
    for number in range(rounds):
        path = WorldPath(f"/artifacts/{number}")
        bodies = [f"{racer} of {number}".encode().ljust(BODY_BYTES, b".") for racer in range(RACERS)]
        reading = [asyncio.create_task(_seen(next(each_client), path)) for _ in range(READERS)]
        answers = await asyncio.gather(*(_written(next(each_client), path, body) for body in bodies))
        [winner] = [each for each in answers if isinstance(each, Artifact)]
        losers = [each for each in answers if isinstance(each, AlreadyExists)]
        assert [each.metadata["cid"] for each in losers] == [winner.cid.text] * (RACERS - 1)
        final = await clients[0].get_bytes(WORLD, path)
        assert final in bodies
        assert Cid.of(final) == winner.cid
        assert {*await asyncio.gather(*reading)} <= {None, final}
