"""How tests are shared out among processes: `pytest -n 2`, as `make test` does."""

from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

_ROOT = Path(__file__).parents[1]
_EACH_ALONE = ("tests/chaos/test_chaos.py", "tests/drills/")
"""Each test starts and kills servers of its own, and takes long: none shares anything, so each goes where time is."""


class Shares(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """A file is run by one process, which has its fixtures; what needs an engine by one process, which has the engine.

    Shares of many tests come first, so at the end there are single ones, and no process waits long for the other.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if _needs_engine(file):
            return "engine"
        return nodeid if file.startswith(_EACH_ALONE) else file


@cache
def _needs_engine(file: str) -> bool:
    # Here only names of tests are known, and none of their marks.
    return "mark.docker" in (_ROOT / file).read_text("utf-8")
