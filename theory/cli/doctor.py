"""`theory doctor`: what works here, what does not, and what to do about it."""

import argparse
import shutil
import stat
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from theory.cli import engine
from theory.cli.checkout import checkout
from theory.cli.environment import SERVICES
from theory.cli.failures import FAILED, OK
from theory.cli.grammar import CHECKS
from theory.cli.output import Cell
from theory.cli.session import Session
from theory.cli.text import size
from theory.core.errors import TheoryError

GOOD, NOTED, BAD = "ok", "note", "bad"
_STYLE = {GOOD: "green", NOTED: "yellow", BAD: "red"}
_SCARCE_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    verdict: str
    """`ok`; `note`, which stops nothing by itself; or `bad`."""
    text: str
    advice: str = ""


async def doctor(session: Session, options: argparse.Namespace) -> int:
    """Look at everything, or at what was named, and say what to do."""
    found = [each for name in options.checks or CHECKS async for each in _LOOK[name](session)]
    told = [each for each in found if each.verdict == BAD or not options.quiet]
    rows: list[tuple[str | Cell, ...]] = []
    for each in told:
        rows.append((Cell(each.verdict, _STYLE[each.verdict]), each.name, each.text))
        if each.advice:
            rows.append(("", "", Cell(each.advice, "dim")))
    session.output.table(rows)
    bad = sum(each.verdict == BAD for each in found)
    if not options.quiet:
        session.output.line()
        session.output.line(Cell(f"{bad} to fix", "red bold") if bad else Cell("nothing to fix", "green"))
    session.output.document(
        {
            "findings": [
                {"name": each.name, "verdict": each.verdict, "text": each.text, "advice": each.advice} for each in found
            ]
        }
    )
    return FAILED if bad else OK


async def _versions(_: Session) -> AsyncIterator[Finding]:
    python = ".".join(map(str, sys.version_info[:3]))
    yield Finding("versions", GOOD, f"theory {version('theory')}, Python {python}, grpcio {version('grpcio')}")
    root = checkout()
    if root is None:
        advice = "'theory up' needs a checkout of Theory; the client alone works with services elsewhere"
        yield Finding("services code", NOTED, "not in this installation", advice)
    else:
        yield Finding("services code", GOOD, str(root))


async def _home(session: Session) -> AsyncIterator[Finding]:
    home = session.home
    if not home.is_dir():
        yield Finding("home", NOTED, f"{home} is not there yet", "'theory up' makes it")
        return
    yield _private(home, "home", 0o700)
    if (key := home / "service.key").exists():
        yield _private(key, "service key", 0o600)
    free = shutil.disk_usage(home).free
    scarce = free < _SCARCE_BYTES
    advice = "what cannot be written is refused, nothing is lost; free some space" if scarce else ""
    yield Finding("disk", NOTED if scarce else GOOD, f"{size(free)} free", advice)


def _private(path: Path, name: str, mode: int) -> Finding:
    found = stat.S_IMODE(path.stat().st_mode)
    if found & 0o077 & ~mode:
        return Finding(name, BAD, f"others can read {path} (mode {found:04o})", f"chmod {mode:o} {path}")
    return Finding(name, GOOD, f"{path} (mode {found:04o})")


async def _services(session: Session) -> AsyncIterator[Finding]:
    if not any(session.listening(each) for each in SERVICES):
        advice = "start them with 'theory up', or say where they are with --url or --home"
        yield Finding("services", BAD, f"nothing listens at {session.url_of('executor')}", advice)
        return
    async with session.connect() as theory:
        from theory.cli.health import serving

        asked: Mapping[str, Callable[[], Awaitable[object]]] = {
            "registry": theory.registry.capabilities,
            "executor": theory.executor.capabilities,
            "artifacts": theory.artifacts.capabilities,
            "resources": theory.kv.capabilities,
            "ledger": theory.ledger.capabilities,
        }
        for service in SERVICES:
            yield await _service(service, session.url_of(service), lambda name: serving(theory, name), asked[service])


async def _service(
    service: str, url: str, serving: Callable[[str], Awaitable[bool]], ask: Callable[[], Awaitable[object]]
) -> Finding:
    try:
        if not await serving(service):
            return Finding(service, BAD, f"at {url}, not ready", "its log says why: services.log in the home")
        offered = await ask()
    except TheoryError as error:
        return Finding(service, BAD, error.message, "'theory up' starts it; its log says why it ended")
    except TimeoutError:
        return Finding(service, BAD, f"at {url}, does not answer in time", "its log says why: services.log in the home")
    kept = getattr(offered, "durable", None)
    durable = "" if kept is None else ", durable" if kept else ", not durable"
    return Finding(service, GOOD, f"{getattr(offered, 'adapter', 'ready')}{durable}")


async def _runtimes(session: Session) -> AsyncIterator[Finding]:
    if not session.listening("executor"):
        yield Finding("runtimes", NOTED, "not known: the executor is not running")
        return
    async with session.connect() as theory:
        try:
            offered = await theory.executor.capabilities()
        except (TheoryError, TimeoutError) as error:
            yield Finding("runtimes", NOTED, f"not known: {error}")
            return
    for each in offered.runtimes:
        default = ", for plans that name none" if each.kind == offered.default_runtime else ""
        if each.ready:
            without = f", without {' '.join(each.isolation_missing)}" if each.isolation_missing else ""
            yield Finding(f"runtime {each.kind}", GOOD, f"ready, isolation: {each.isolation}{without}{default}")
        else:
            verdict = BAD if default else NOTED
            yield Finding(f"runtime {each.kind}", verdict, f"not ready{default}", each.advice)


async def _engine(session: Session) -> AsyncIterator[Finding]:
    host = session.environment.docker_host
    try:
        found = engine.version(host)
    except OSError as error:
        advice = "the runtime 'local' needs one; 'process' and 'mock' do not. DOCKER_HOST says where it is"
        yield Finding("engine", NOTED, str(error), advice)
    else:
        yield Finding("engine", GOOD, f"version {found} at {engine.address(host)}")


_LOOK: Mapping[str, Callable[[Session], AsyncIterator[Finding]]] = {
    "versions": _versions,
    "home": _home,
    "services": _services,
    "runtimes": _runtimes,
    "engine": _engine,
}
