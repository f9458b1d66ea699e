"""`python -m tests.drills.ledger_server`: the ledger alone, which kills itself at a named point of a transaction.

`kill_at` in the home names one of `POINTS`, and which time it must be reached from then on.
"""

import os
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

from tests.drills.server import killer
from theory.wire.process import prepare

POINTS = ("locked", "added", "written", "committed")
"""The transaction has begun; rows of one table were added; all is written; it is committed, and nobody was told."""


class _Watched:
    """A session of a database's writer, and who is told where it stands."""

    def __init__(self, session: Any, reach: Callable[[str], None]) -> None:
        self._session = session
        self._reach = reach

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def begin_write(self, locks: Collection[str]) -> None:
        self._session.begin_write(locks)
        self._reach("locked")

    def commit(self) -> None:
        self._reach("written")
        self._session.commit()
        self._reach("committed")


def _watch(reach: Callable[[str], None]) -> None:
    """Let every writer of this process pass the points."""
    from services.drivers import sql  # noqa: PLC0415 - after `prepare`
    from services.drivers.sql.ports import Session  # noqa: PLC0415
    from services.drivers.sql.statement import Rows  # noqa: PLC0415
    from services.drivers.sql.work import Writes  # noqa: PLC0415

    add = Rows.add

    def added(*args: Any) -> None:
        add(*args)
        reach("added")

    # For good: this process is for nothing else.
    patch.object(Rows, "add", added).start()
    patch.object(
        sql, "Writes", lambda session, product: Writes(cast("Session", _Watched(session, reach)), product)
    ).start()


def main() -> int:
    """Serve, as `python -m services.ledger` does."""
    prepare()
    from services.ledger.__main__ import main as serve  # noqa: PLC0415 - gRPC is imported after `prepare`

    _watch(killer(Path(os.environ["THEORY_HOME"]) / "kill_at"))
    return serve()


if __name__ == "__main__":
    sys.exit(main())
