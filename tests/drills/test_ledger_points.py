"""A ledger that is killed at each point of a transaction, under load, has what it acknowledged, and no half of it."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.backends import require
from tests.drills.alone import alone
from tests.drills.ledger_drill import PATIENCE_S, Drill
from tests.drills.ledger_server import POINTS
from tests.servers import Postgres
from theory.wire.home import socket_url
from theory.wire.identity import ServiceKeys

pytestmark = pytest.mark.drill

_SHORT = [("locked", 25), ("added", 61), ("written", 25), ("committed", 25)]
# A transaction adds rows to several tables: with these counts, one behind each other, all of them are met.
_LONG = [(point, count) for point in POINTS for count in range(20, 35)]
_KILLS = [pytest.param(_SHORT, id="short"), pytest.param(_LONG, id="long", marks=pytest.mark.long)]


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Where the ledger keeps its books."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            yield {}
            return
        postgres = Postgres()
        require("postgres", postgres.missing())
        stack.enter_context(postgres)
        yield {"THEORY_LEDGER_DATABASE_URL": postgres.url}


@pytest.mark.parametrize("kills", _KILLS)
async def test_a_kill_at_any_point_of_a_transaction_is_survived(
    kills: list[tuple[str, int]], settings: dict[str, str], tmp_path: Path
) -> None:
    drill = Drill([socket_url(tmp_path, "ledger")], ServiceKeys.load_or_create(tmp_path), tmp_path / "log.key")
    async with drill.writing():
        for point, count in kills:
            (tmp_path / "kill_at").write_text(f"{point} {count}")
            async with alone("ledger", tmp_path, module="tests.drills.ledger_server", **settings) as process:
                async with asyncio.timeout(PATIENCE_S):
                    assert await process.wait() == -signal.SIGKILL, point
        (tmp_path / "kill_at").unlink()
        async with alone("ledger", tmp_path, **settings):
            await drill.until_more_is_acked()
    async with alone("ledger", tmp_path, **settings):
        assert await drill.judged(tmp_path) == []
    assert drill.history.checkpoints > len(kills)
    assert drill.spent
