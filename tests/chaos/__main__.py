"""`make chaos`: every backend is killed under load, again and again; one line for each, and what was broken."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.chaos.backends import BACKENDS
from tests.chaos.run import Size, run

SIZES: Mapping[str, Size] = {
    "sqlite": Size(200_000, 50, calm_s=4.0),
    "redis": Size(200_000, 50, calm_s=4.0),
    "postgresql": Size(40_000, 20),
    "redis-streams": Size(40_000, 20),
    "sqs": Size(5_000, 10),
    "modal": Size(1_000, 10),
}


def main() -> int:
    """Run what was named, or all of it; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("backends", nargs="*", help=f"of {', '.join(BACKENDS)}; all of them by default")
    parser.add_argument("--messages", type=int, help="how many are published at least")
    parser.add_argument("--kills", type=int, help="how many processes are killed at least")
    parser.add_argument("--seed", type=int, default=0, help="of the clients' and the nemesis' choices")
    given = parser.parse_args()
    # Whoever is told to end takes the servers along.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sound = True
    for name in given.backends or BACKENDS:
        usual = SIZES[name]
        size = replace(usual, messages=given.messages or usual.messages, kills=given.kills or usual.kills)
        try:
            result = asyncio.run(run(name, size, seed=given.seed))
        except pytest.skip.Exception as missing:
            print(f"{name:<14}not run: {missing}")
            sound = False
            continue
        print(result.line(), flush=True)
        for each in result.violations:
            print(each)
        sound = sound and result.valid
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
