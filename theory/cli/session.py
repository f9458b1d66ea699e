"""What a command works with: where the services are, where results go, and the client that talks to them."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from theory.cli.environment import SERVICES, Environment
from theory.cli.output import Output
from theory.wire.home import socket_url

if TYPE_CHECKING:
    from theory.core.checkpoint import LogKey
    from theory.core.ids import ExecutionId, PlanId
    from theory.sdk.client import Theory
    from theory.sdk.log import LogClient

EMBEDDED = "theory"
"""What the socket of all five services is called."""
_LOG_KEY_FILE = "log.key"
"""Where a ledger writes its public key."""
LATEST = "latest"
"""Stands for the newest plan wherever a plan is named; no plan id looks like it."""


@dataclass(frozen=True, slots=True)
class Session:
    """One command and its surroundings."""

    environment: Environment
    output: Output
    home: Path
    url: str | None
    """What `--url` says; it wins over everything else."""

    def url_of(self, service: str) -> str:
        """Where `service` answers: `--url`, then its own variable, then `THEORY_URL`, then its socket in the home."""
        given = self.url or self.environment.url_by_service.get(service) or self.environment.url
        return given or self._socket(service)

    def listening(self, service: str) -> bool:
        """Whether it makes sense to ask: a socket that is not there cannot answer."""
        url = self.url_of(service)
        return not url.startswith("unix:") or _exists(url)

    @property
    def cache(self) -> Path:
        """Where the bytes of mounts are kept: in the home, where that is this user's; else among the user's caches.

        Not where the executor keeps its own: who writes to a file of a mount must not change what an attempt reads.
        """
        try:
            own = self.home.stat().st_uid == os.geteuid()
        except FileNotFoundError:
            own = False
        return self.home / "cache" if own else self.environment.cache

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["Theory"]:
        """The client of the five services. Nothing is sent before something is asked."""
        from theory.sdk.client import Theory

        urls = {service: self.url_of(service) for service in SERVICES}
        async with Theory.connect(urls["executor"], url_by_service=urls, token=self._token(urls)) as theory:
            yield theory

    def log_key(self, given: str | None = None) -> "LogKey | None":
        """The key of the log: as it is given, by `THEORY_LOG_KEY`, or because the ledger lives in this home.

        A text that is the name of a file stands for what is in it. `Invalid` (`LOG_KEY_INVALID`).
        """
        from theory.core.checkpoint import LogKey

        named = given or self.environment.log_key
        written = (_line_of(Path(named)) or named) if named else _line_of(self.home / _LOG_KEY_FILE)
        return LogKey.parse(written) if written else None

    def log_of(self, theory: "Theory", given: str | None = None) -> "LogClient | None":
        """The ledger's log, where its key is known: see `log_key`. What it signed is remembered in the home."""
        from theory.sdk.log import InFiles

        key = self.log_key(given)
        return None if key is None else theory.log(key, InFiles(self.home / "checkpoints"))

    def _socket(self, service: str) -> str:
        """The socket of all five; where there is only one of the service alone, that."""
        shared, alone = socket_url(self.home, EMBEDDED), socket_url(self.home, service)
        return alone if _exists(alone) and not _exists(shared) else shared

    def _token(self, urls: dict[str, str]) -> str | None:
        """The client's token, where an address asks for one; None where the home has no key."""
        if all(url.startswith("unix:") for url in urls.values()):
            return None
        from theory.core.errors import NotFound
        from theory.wire.identity import Role, ServiceKeys

        try:
            return ServiceKeys.load(self.home).token_of(Role.CLIENT)
        except NotFound:
            return None


def _exists(url: str) -> bool:
    return Path(unquote(url.removeprefix("unix://"))).exists()


async def plan_named(theory: "Theory", name: str) -> "PlanId":
    """The plan that was named on the command line: its id, or `latest`."""
    from theory.core.errors import NotFound
    from theory.core.ids import PlanId

    if name != LATEST:
        return PlanId.parse(name)
    async for plan in theory.executor.list_plans(limit=1):
        return plan.plan_id
    raise NotFound("PLAN_UNKNOWN", "no plan was submitted yet")


async def execution_named(theory: "Theory", name: str) -> "ExecutionId":
    """The execution that was named: by its id, or `latest.report` for one of the newest plan's."""
    from theory.core.ids import ExecutionId

    plan, dot, rest = name.partition(".")
    return ExecutionId.parse(f"{await plan_named(theory, LATEST)}.{rest}" if dot and plan == LATEST else name)


async def world_named(theory: "Theory", name: str) -> str:
    """The world that was named on the command line: its name, or `latest`, the newest plan's."""
    if name != LATEST:
        return name
    return (await theory.executor.get_plan(await plan_named(theory, name))).world.text


def _line_of(file: Path) -> str | None:
    try:
        return file.read_text("ascii", "replace")
    except OSError:
        return None
