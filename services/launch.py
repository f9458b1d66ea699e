"""Starting a process of services: the home is locked, the units are assembled, and they serve until told to stop.

Or, with the verb `migrate`, what their databases need is done, as whoever owns them.
"""

import argparse
import asyncio
import fcntl
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from services.drivers.sql.owner import Located, migrate
from services.settings import ServiceSettings
from theory.core.errors import Invalid, NotReady, TheoryError
from theory.wire.address import Address
from theory.wire.identity import ServiceKeys
from theory.wire.server import ServiceUnit, serve
from theory.wire.telemetry import configure_logging

Assemble = Callable[[], Awaitable[ServiceUnit]]
S = TypeVar("S", bound=ServiceSettings)


def launch(
    settings: type[S],
    assemblies: Callable[[S], Sequence[Assemble]],
    databases: Callable[[S], Sequence[Located]],
    arguments: Sequence[str] | None = None,
) -> int:
    """Serve what `assemblies` make of the settings until a signal; returns the exit code.

    What cannot start says so in one line and ends with 1. With the verb `migrate` (`arguments`, default the command
    line's) the tables of `databases` are brought up to date instead.
    """
    options = _parser(settings.service).parse_args(arguments)
    try:
        configure_logging()
        config = settings.load()
        _make_home(config.home)
        with ExitStack() as held:
            for service in config.serves:
                held.enter_context(_locked(config.home / f"{service}.lock"))
            if options.verb is not None:
                asyncio.run(_migrate(databases(config), options.grant))
                return 0
            asyncio.run(_serve(config, assemblies(config)))
    except TheoryError as error:
        facts = "".join(f" {key}={value}" for key, value in error.metadata.items())
        sys.stderr.write(f"error: {error.message} ({error.reason}{facts})\n")
        return 1
    return 0


def _parser(service: str) -> argparse.ArgumentParser:
    module = "services" if service == "services" else f"services.{service}"
    parser = argparse.ArgumentParser(f"python -m {module}", description=f"Serve, as the environment says: {module}.")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    text = "bring the tables up to date, as the owner of the database, and end"
    migrating = verbs.add_parser("migrate", help=text, description=f"{text[0].upper()}{text[1:]}.")
    migrating.add_argument("--grant", metavar="ROLE", help="what the service needs, and no more, to a role of Postgres")
    parser.set_defaults(grant=None)
    return parser


async def _migrate(databases: Sequence[Located], role: str | None) -> None:
    for located in databases:
        if located.migrated:
            for part, before, after in await migrate(located, role):
                done = "up to date" if before == after else f"from {before or 'nothing'}"
                sys.stdout.write(f"{part}: {after}, {done}\n")


async def _serve(config: ServiceSettings, assemblies: Sequence[Assemble]) -> None:
    Address.parse(config.url)  # before any service finds the same fault, and takes it for its own
    keys = ServiceKeys.load_or_create(config.home)
    units: list[ServiceUnit] = []
    async with AsyncExitStack() as opening:
        for assemble in assemblies:
            unit = await assemble()
            opening.push_async_callback(unit.close)
            units.append(unit)
        opening.pop_all()  # whoever serves them closes them
    await serve(units, url=config.url, admin_url=config.admin_url, keys=keys)


def _make_home(home: Path) -> None:
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(home, error) from error


def _unusable(home: Path, error: OSError) -> Invalid:
    return Invalid("CONFIG_INVALID", f"THEORY_HOME cannot be used: {home}: {error.strerror}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of one service of a home; the kernel gives it back however this process ends."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(path.parent, error) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = "another process serves this home: stop it, or choose another THEORY_HOME"
            raise NotReady("HOME_LOCKED", message, path=str(path)) from None
        yield
    finally:
        os.close(handle)
