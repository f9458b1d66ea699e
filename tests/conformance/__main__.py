"""`python -m tests.conformance [--check]`: run every adapter and write docs/conformance.md, or say that it is old."""

import asyncio
import logging
import os
import sys
import tempfile
from pathlib import Path

import pytest

from tests.conformance import page
from tests.conformance.harness import Harness, adapters_of, at_once, target_of
from tests.conformance.held import TIMEOUT_S
from tests.servers import AWS_VARIABLES, Servers
from theory.core.clock import SystemClock
from theory.testing.primitives import MODULES_BY_PRIMITIVE, cases_of
from theory.testing.report import Outcome
from theory.testing.runner import run
from theory.testing.target import offered
from theory.testing.why import told


def main(arguments: list[str]) -> int:
    """Write the page where everything is kept; 1 where something is broken or missing, 2 for an unknown argument."""
    if arguments == ["--check"]:
        faults = list(page.faults())
        sys.stderr.writelines(f"{fault}; `python -m tests.conformance` writes it\n" for fault in faults)
        return 1 if faults else 0
    if arguments:
        sys.stderr.write("usage: python -m tests.conformance [--check]\n")
        return 2
    os.environ.update(AWS_VARIABLES)
    logging.disable()  # cases provoke what services warn of
    with Servers() as servers:
        try:
            found, broken = asyncio.run(_everything(servers))
        except (pytest.skip.Exception, pytest.fail.Exception) as missing:
            sys.stderr.write(f"{missing}: the page is written where every backend is\n")
            return 1
    faults = [*broken, *page.unexplained(found)]
    sys.stderr.writelines(f"{fault}\n" for fault in faults)
    if faults:
        return 1
    page.PAGE.write_text(page.page(found), "utf-8")
    print(f"docs/conformance.md: {sum(map(len, found.values()))} adapters")
    return 0


async def _everything(servers: Servers) -> tuple[page.Found, list[str]]:
    """What every adapter offers, and what is broken."""
    found: dict[str, dict[str, page.Shown]] = {}
    broken: list[str] = []
    clock = SystemClock()
    for primitive in MODULES_BY_PRIMITIVE:
        found[primitive] = {}
        for adapter in adapters_of(primitive):
            began = clock.monotonic()
            with tempfile.TemporaryDirectory(prefix="theory-") as home:
                try:
                    shown, faults = await _run(primitive, adapter, Harness(Path(home), servers))
                except Exception as error:  # noqa: BLE001 - an adapter that cannot be opened keeps no promise
                    shown, faults = page.Shown(None, frozenset()), [told(error)]
            found[primitive][adapter] = shown
            broken += (f"{primitive} on {adapter}: {fault}" for fault in faults)
            seconds = clock.monotonic() - began
            offers = ", ".join(sorted(shown.offers)) or "the common promises"
            print(f"{primitive} on {adapter}: {offers} ({seconds:.0f} s)", flush=True)
    return found, broken


async def _run(primitive: str, adapter: str, harness: Harness) -> tuple[page.Shown, list[str]]:
    async with target_of(primitive, adapter, harness) as target:
        durable = (await offered(target.channel(), primitive)).durable
        report = await run(cases_of(primitive), target, timeout_s=TIMEOUT_S, at_once=at_once(adapter))
    faults = [f"{each.case.name}: {each.why}" for each in report.of(Outcome.BROKEN)]
    lost = [each for each in report.of(Outcome.SKIPPED) if not each.missing]
    faults += [f"{each.case.name}: {each.why}" for each in lost]
    return page.Shown(durable, target.capabilities), faults


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
