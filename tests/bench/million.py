"""A ledger of a million events, as plans leave them: how large it is, and how long one core verifies it."""

import asyncio
import json
import os
import sqlite3
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil

from tests.bench.report import Figure
from tests.bench.server import ROOT, Server, serving
from theory.core.chain import NewEvent
from theory.core.clock import rfc3339
from theory.core.errors import TheoryError
from theory.core.ids import ExecutionId, PlanId
from theory.core.ledger import PlanEvent
from theory.core.receipt import AttemptOutcome
from theory.core.settle import ClaimRequest, SettleRequest
from theory.sdk.client import Theory
from theory.wire.identity import Role, ServiceKeys

_EVENTS = 1_000_000
_PLANS = 200
_EXECUTIONS = 250
"""Of each plan; a claim and a settlement are five events and two receipts."""
_BATCH = 1_000
_FLOOR_S = 60
_FLOOR_BYTES = 600


async def measure() -> list[Figure]:
    """Append, then check with the command that operators use, both sides on one core."""
    async with serving() as server:
        began = time.perf_counter()
        await _fill(server)
        filled_s = time.perf_counter() - began
        seconds, used_s, checked = await _checked_on_one_core(server)
        each, receipts = _size(server.home / "ledger.db", int(checked["events"]))
    if not checked["sound"] or checked["events"] < _EVENTS:
        raise RuntimeError(f"the ledger is not what was written: {checked}")
    events = int(checked["events"])
    return [
        Figure(
            f"theory ledger fsck, {events:,} events in {checked['chains']} chains, service and command on one core",
            f"{seconds:.1f} s; {events / seconds:,.0f} events/s",
            f"{used_s:.1f} s of processor time; written in {filled_s:.0f} s",
            f"<= {_FLOOR_S} s",
            seconds <= _FLOOR_S,
        ),
        Figure(
            f"the same ledger on disk, with {receipts:,} receipts, accounts, the tree and all indexes",
            f"{each:.0f} bytes per event",
            "",
            f"< {_FLOOR_BYTES}",
            each < _FLOOR_BYTES,
        ),
    ]


async def _fill(server: Server) -> None:
    """All plans at once: the events of each chain lie far apart in the log, as where many plans run."""
    keys = ServiceKeys.load(server.home)
    plans = [PlanId(f"p-{at:04}") for at in range(_PLANS)]
    async with (
        Theory.connect(server.url, token=keys.token_of(Role.RESOURCES)) as scratch,
        Theory.connect(server.url, token=keys.token_of(Role.EXECUTOR)) as executor,
    ):
        await asyncio.gather(_note(scratch, plans), *(_execute(executor, each) for each in plans))


async def _execute(theory: Theory, plan: PlanId) -> None:
    await theory.ledger.open_budget(plan, 1_000_000)
    names = [ExecutionId(f"{plan}.step.{at}") for at in range(_EXECUTIONS)]
    claimed = await theory.ledger.claim_many([ClaimRequest(plan, each, 0, 100, 0) for each in names])
    ends = []
    for name, answer in zip(names, claimed, strict=True):
        if isinstance(answer, TheoryError):
            raise answer
        ends.append(SettleRequest(plan, name, answer.epoch, 0, AttemptOutcome.FAILED, True, 70))
    _raise(await theory.ledger.settle_many(ends))


async def _note(theory: Theory, plans: Sequence[PlanId]) -> None:
    """Events of every plan in turn."""
    count = _EVENTS - 4 * _EXECUTIONS * _PLANS
    for first in range(0, count, _BATCH):
        ts = rfc3339(datetime.now(UTC))
        _raise(
            await theory.ledger.append_many(
                [
                    PlanEvent(
                        plans[at % _PLANS].text,
                        NewEvent(f"kv/{at}", "scratch.kv.changed", ts, {"key": f"pages/{at:06}", "op": "put"}),
                    )
                    for at in range(first, min(first + _BATCH, count))
                ]
            )
        )


def _raise(answers: Sequence[object]) -> None:
    for answer in answers:
        if isinstance(answer, TheoryError):
            raise answer


async def _checked_on_one_core(server: Server) -> tuple[float, float, dict[str, int]]:
    core = {min(os.sched_getaffinity(0))}
    # Each thread has cores of its own; those that are yet to come have the cores of who begins them.
    for thread in server.process.threads():
        os.sched_setaffinity(thread.id, core)
    command = ("theory.cli", "--home", str(server.home), "--url", server.url, "--json", "ledger", "fsck")
    pinned = f"import os, runpy, sys; os.sched_setaffinity(0, {core}); sys.argv[:] = sys.argv[1:]; "
    began, before = time.perf_counter(), server.cpu_s() + _children_s()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", pinned + "runpy.run_module('theory.cli', run_name='__main__')", *command),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    seconds = time.perf_counter() - began
    found: dict[str, int] = json.loads(out)
    return seconds, server.cpu_s() + _children_s() - before, found


def _children_s() -> float:
    """What the processes that have ended used."""
    used = psutil.Process().cpu_times()
    return used.children_user + used.children_system


def _size(database: Path, events: int) -> tuple[float, int]:
    files = [database, *database.parent.glob(f"{database.name}-*")]
    with sqlite3.connect(database) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        [receipts] = file.execute("SELECT count(*) FROM receipt").fetchone()
    file.close()
    return sum(path.stat().st_size for path in files if path.exists()) / events, receipts
