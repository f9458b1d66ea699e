"""`make drills`: executors and their servers are killed at every named point and pair of points, with figures."""

import argparse
import asyncio
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.drills.matrix import POINTS, pairs_from, run

_DRILLS = (
    "tests/drills/test_ledger_points.py",
    "tests/drills/test_replicas.py",
    "tests/drills/test_flights.py",
    "tests/drills/test_kill_points.py",
    "tests/drills/test_kill_running.py",
    "tests/drills/test_modal.py",
    "tests/drills/test_engine_restart.py",
    "tests/drills/test_abandoned.py",
    "tests/drills/test_ledger_kill.py",
    "tests/drills/test_budget_race.py",
)


def main() -> int:
    """The kill matrix with its figures, then the drills that take minutes; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills", description=__doc__)
    parser.add_argument(
        "points", nargs="*", help=f"the first points of the pairs, of {', '.join(POINTS)} (all of them)"
    )
    firsts = parser.parse_args().points or list(POINTS)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="theory-drill-") as folder:
        figures = asyncio.run(run(Path(folder), pairs_from(firsts)))
    recoveries = sorted(figures.recoveries_s)
    rows = {
        "pairs of points": f"{figures.pairs}",
        "kills": f"{figures.kills}",
        "executions, each settled once, every budget exact, nothing left": f"{figures.executions}",
        "from a start behind a kill to the end or the next kill, median": f"{statistics.median(recoveries):.2f} s",
        "the same, longest": f"{recoveries[-1]:.2f} s",
        "all of it": f"{time.monotonic() - began:.0f} s",
    }
    sys.stdout.write(f"On {platform.machine()}, Linux {platform.release()}, Python {platform.python_version()}:\n\n")
    sys.stdout.write("".join(f"  {value:>8}  {name}\n" for name, value in rows.items()) + "\n")
    sys.stdout.flush()
    return pytest.main(["-q", "-m", "long or drill", *_DRILLS, "--deselect", _MATRIX])


_MATRIX = "tests/drills/test_kill_points.py::test_a_kill_at_every_pair_of_points_is_survived"


if __name__ == "__main__":
    sys.exit(main())
