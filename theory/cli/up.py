"""`theory up`: the five services of a checkout in one process, as long as this command runs."""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Literal

from theory.cli.checkout import checkout
from theory.cli.environment import for_child
from theory.cli.failures import OK, Usage
from theory.cli.output import Cell
from theory.cli.session import Session
from theory.core.clock import SystemClock
from theory.core.errors import TheoryError, Unavailable

_STARTED_WITHIN_S = 60.0
_POLL_S = 0.05
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def up(session: Session, options: argparse.Namespace) -> int:
    """Start the services, say where they are, and wait for their end or ours."""
    root = checkout()
    if root is None:
        hint = "run 'theory up' in a checkout of Theory, or the images of deploy/images; --url finds services elsewhere"
        raise Usage("the services are not a part of the installed package", hint)
    session.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = options.log or session.home / "services.log"
    stop = asyncio.Event()
    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with log.open("ab") as written:
        start = written.tell()
        services = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services"),
            env=for_child(**variables(session, root, options.runtime)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            start_new_session=True,  # the terminal's Ctrl-C is for this process, which passes it on once
        )
    ended = asyncio.ensure_future(services.wait())
    stopping = asyncio.ensure_future(stop.wait())
    try:
        if await _ready(session, ended, stopping):
            await _tell(session, log)
            await asyncio.wait([ended, stopping], return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not ended.done():
            session.output.note("draining ...")
            services.terminate()
            await ended
        stopping.cancel()
    if ended.result() != 0:
        raise _failed(log, start, ended.result())
    session.output.note("stopped")
    return OK


def variables(session: Session, root: Path, runtime: str | None) -> dict[str, str]:
    """What the services are told beyond the environment of this command."""
    told = {
        "THEORY_HOME": str(session.home.absolute()),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")])),
    }
    if session.url or session.environment.url:
        told["THEORY_URL"] = session.url_of("executor")
    if "THEORY_EXECUTOR_BUILD_ROOT" not in os.environ:
        told["THEORY_EXECUTOR_BUILD_ROOT"] = str(root)
    if runtime is not None:
        served = os.environ.get("THEORY_EXECUTOR_RUNTIMES", "local mock").split()
        told["THEORY_EXECUTOR_RUNTIMES"] = " ".join(dict.fromkeys([*served, runtime]))
        told["THEORY_EXECUTOR_DEFAULT_RUNTIME"] = runtime
    return told


async def _ready(session: Session, ended: "asyncio.Task[int]", stopping: "asyncio.Task[Literal[True]]") -> bool:
    """Wait until the services answer; False where they ended, or are to be stopped, before that."""
    from theory.cli.health import ready

    clock = SystemClock()
    deadline = clock.monotonic() + _STARTED_WITHIN_S
    while not (ended.done() or stopping.done()):
        # A connection of its own for each try: one that failed waits longer and longer.
        if session.listening("executor"):
            async with session.connect() as theory:
                if await ready(theory, "executor"):
                    return True
        if clock.monotonic() > deadline:
            url = session.url_of("executor")
            message = f"the services did not get ready within {_STARTED_WITHIN_S:.0f} s"
            raise Unavailable("SERVICE_UNREACHABLE", message, url=url)
        await clock.sleep(_POLL_S)
    return False


async def _tell(session: Session, log: Path) -> None:
    async with session.connect() as theory:
        offered = await theory.executor.capabilities()
        url = theory.url
    runtimes: list[str | Cell] = []
    for each in offered.runtimes:
        runtimes += [", "] if runtimes else []
        runtimes += [Cell(each.kind, "green")] if each.ready else [Cell(f"{each.kind} (not ready)", "yellow")]
    session.output.line(Cell("theory is up", "bold"), ": registry, executor, artifacts, resources, ledger")
    session.output.line(Cell("  address   ", "dim"), url)
    session.output.line(Cell("  home      ", "dim"), str(session.home))
    session.output.line(Cell("  runtimes  ", "dim"), *runtimes, f"; plans that name none use {offered.default_runtime}")
    for each in offered.runtimes:
        if not each.ready:
            session.output.line(Cell(f"            {each.kind}: {each.advice}", "yellow"))
    session.output.line(Cell("  log       ", "dim"), str(log))
    session.output.line(Cell("  stop      ", "dim"), "Ctrl-C")
    session.output.document({"url": url, "home": str(session.home), "log": str(log), **offered.to_document()})
    session.output.stdout.flush()


def _failed(log: Path, start: int, code: int) -> TheoryError:
    """What the services said when they gave up."""
    ended = f"were killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
    with log.open("rb") as written:
        written.seek(start)
        lines = written.read().decode("utf-8", "replace").splitlines()
    # Their log is JSON; what is not, they said because they had to go.
    said = [line.removeprefix("error: ") for line in lines if line and not line.startswith(("{", " "))]
    sentence = said[-1] if said else "the log has more"
    return Unavailable("SERVICES_ENDED", f"the services {ended}: {sentence}", log=str(log))
