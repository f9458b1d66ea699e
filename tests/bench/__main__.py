"""`make bench`: run every measurement, print the report, and write it into docs/benchmarks.md."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping

from tests.bench import (
    attempts,
    blobs,
    buckets,
    containers,
    executions,
    ledger,
    memo,
    million,
    mounts,
    replicas,
    scratch,
    startup,
)
from tests.bench.report import Figure, render, write
from tests.bench.server import ROOT

SECTIONS: Mapping[str, Callable[[], Awaitable[list[Figure]]]] = {
    "Executions": executions.measure,
    "Several executors": replicas.measure,
    "Memo": memo.measure,
    "Scratch": scratch.measure,
    "Attempts": attempts.measure,
    "Ledger": ledger.measure,
    "A million events": million.measure,
    "Blobs": blobs.measure,
    "Buckets": buckets.measure,
    "World mounts": mounts.measure,
    "Local runtime": containers.measure,
    "Starting": startup.measure,
}


async def main() -> None:
    """Measure what was named, or all of it; only a whole run is written down."""
    wanted = [title for title in SECTIONS if not sys.argv[1:] or title.lower().startswith(sys.argv[1].lower())]
    sections = []
    for title in wanted:
        sys.stderr.write(f"measuring: {title}\n")
        sections.append((title, await SECTIONS[title]()))
    text = render(sections)
    print(text)
    if len(wanted) == len(SECTIONS):
        write(ROOT / "docs" / "benchmarks.md", text)


if __name__ == "__main__":
    asyncio.run(main())
