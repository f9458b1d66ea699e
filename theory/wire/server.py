"""Serving: units of services behind one address, from the first bind to the last drained call."""

import asyncio
import logging
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import cast

import grpc

from theory.core.clock import Clock, SystemClock
from theory.core.errors import Invalid
from theory.core.ids import IdSource, SystemIds
from theory.wire import layers
from theory.wire.access import require_total
from theory.wire.admin import admins
from theory.wire.channel import connect
from theory.wire.health import Health
from theory.wire.identity import AttemptVerifier, Role, Scope, ServiceKeys
from theory.wire.layers import Surroundings
from theory.wire.listener import Listener
from theory.wire.options import SERVER_OPTIONS
from theory.wire.pipeline import LayerFactory, Registrar
from theory.wire.telemetry import log

STACK: tuple[LayerFactory, ...] = (
    layers.Naming,  # first, so that every other layer can name the call
    layers.Logging,  # outside of the errors: it sees the code that the caller sees
    layers.Counting,
    layers.MappingErrors,  # what is raised further in becomes a status
    layers.KeepingDeadlines,
    layers.Authenticating,
    layers.Authorizing,
    layers.Limiting,  # last: who may not call takes no place
)
"""What happens around every call, outermost first."""

_LOG = logging.getLogger("theory.wire.server")
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def nothing() -> None:
    """Do nothing: a unit without background work, or without dependencies that could be away."""


@dataclass(frozen=True)
class ServiceUnit:
    """One service as its assembly made it: what it serves, to whom, and what must be started and closed around it."""

    name: str
    access: Mapping[str, Scope]
    """Full method name to scope, for every method that `register` registers and for no other."""
    register: Callable[[grpc.aio.Server], None]
    """Calls the generated `add_..._to_server` functions, and nothing else of the server."""
    start: Callable[[], Awaitable[None]] = nothing
    """Begins background work, once the server listens."""
    close: Callable[[], Awaitable[None]] = nothing
    """Ends background work and closes what is open, once no call is in flight."""
    ready: Callable[[], Awaitable[None]] = nothing
    """Raises `TheoryError` where the unit could not do its work just now. Asked every few seconds."""
    attempts: AttemptVerifier | None = None
    """Knows the tokens of attempts; None where the unit takes none."""


async def serve(
    units: Sequence[ServiceUnit],
    *,
    url: str,
    admin_url: str | None = None,
    keys: ServiceKeys | None,
    drain_s: float = 10,
    stop: asyncio.Event | None = None,
    on_listening: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or `stop`; then finish what is in flight, for `drain_s` at most, and return.

    `on_listening` is told the address as soon as calls are answered. A second signal ends the process at once. Raises
    `Invalid` (`CONFIG_INVALID`, `URL_INVALID`) for units or addresses that do not fit, `NotReady` (`ADDRESS_TAKEN`).
    """
    stop = stop or asyncio.Event()
    async with RunningServer.opened(units, url=url, admin_url=admin_url, keys=keys, drain_s=drain_s) as server:
        with _signals_setting(stop):
            if on_listening is not None:
                on_listening(server.url)
            await stop.wait()


@contextmanager
def _signals_setting(stop: asyncio.Event) -> Iterator[None]:
    """Let SIGTERM and SIGINT set `stop` inside the block; outside of it they do again what they did before."""
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


@asynccontextmanager
async def running(
    units: Sequence[ServiceUnit],
    *,
    url: str | None = None,
    admin_url: str | None = None,
    keys: ServiceKeys | None = None,
    drain_s: float = 1,
) -> AsyncIterator["RunningServer"]:
    """Serve inside a block, without signals: for tests, and for processes that have other things to do.

    Without `url` it listens on a socket in a folder of its own, without `keys` it makes fresh ones.
    """
    async with AsyncExitStack() as stack:
        if url is None:
            url = f"unix://{stack.enter_context(tempfile.TemporaryDirectory(prefix='theory-'))}/theory.sock"
        keys = keys or ServiceKeys.fresh()
        yield await stack.enter_async_context(
            RunningServer.opened(units, url=url, admin_url=admin_url, keys=keys, drain_s=drain_s)
        )


class RunningServer:
    """A server that answers calls."""

    def __init__(self, url: str, admin_urls: Sequence[str], keys: ServiceKeys | None, health: Health) -> None:
        self.url = url
        self.admin_urls = tuple(admin_urls)
        self.keys = keys
        self.health = health
        self._channels: dict[Role | None, grpc.aio.Channel] = {}

    def channel(self, role: Role | None = Role.CLIENT) -> grpc.aio.Channel:
        """A channel to it with the identity of `role`, or with none. Closed with the server; one per role."""
        if role not in self._channels:
            token = self.keys.token_of(role) if self.keys is not None and role is not None else None
            self._channels[role] = connect(self.url, token=token)
        return self._channels[role]

    @classmethod
    @asynccontextmanager
    async def opened(
        cls,
        units: Sequence[ServiceUnit],
        *,
        url: str,
        admin_url: str | None,
        keys: ServiceKeys | None,
        drain_s: float,
        clock: Clock | None = None,
        ids: IdSource | None = None,
    ) -> AsyncIterator["RunningServer"]:
        """Listen, start the units, and in the end drain and close everything in reverse order."""
        async with AsyncExitStack() as stack:
            for unit in units:
                stack.push_async_callback(_closed, unit)
            listener = stack.enter_context(Listener(url))
            if listener.public and keys is None:
                raise Invalid("CONFIG_INVALID", "a TCP listener needs keys: loopback is no identity")
            around = Surroundings(
                _access_of(units),
                keys,
                token_required=listener.public,
                ids=ids or SystemIds(),
                attempts={method: unit.attempts for unit in units if unit.attempts for method in unit.access},
            )
            registrar = Registrar(STACK, around)
            health = Health(_registered(units, registrar), clock=clock or SystemClock())
            require_total(around.access, registrar.methods())

            server = grpc.aio.server(options=SERVER_OPTIONS)
            registrar.attach(server)
            health.register(server)
            operators = admins(admin_url, health, tuple(registrar.handlers))
            for operator in operators:
                await operator.start()
                stack.push_async_callback(operator.stop)
            listener.open(server)
            stack.push_async_callback(_drained, server, registrar, health, drain_s)
            await server.start()
            for unit in units:
                await unit.start()
            await health.start()
            opened = cls(listener.url, [operator.url for operator in operators], keys, health)
            stack.push_async_callback(opened._close_channels)
            log(_LOG, logging.INFO, "listening", url=listener.url, services=sorted(registrar.handlers))
            yield opened

    async def _close_channels(self) -> None:
        for channel in self._channels.values():
            await channel.close()


def _access_of(units: Sequence[ServiceUnit]) -> dict[str, Scope]:
    access: dict[str, Scope] = {}
    for unit in units:
        if twice := access.keys() & unit.access.keys():
            raise Invalid("CONFIG_INVALID", f"two units serve {', '.join(sorted(twice))}")
        access |= unit.access
    return access


def _registered(units: Sequence[ServiceUnit], registrar: Registrar) -> dict[str, list[Callable[[], Awaitable[None]]]]:
    """Register every unit; which readiness check speaks for which gRPC service."""
    checks: dict[str, list[Callable[[], Awaitable[None]]]] = {}
    for unit in units:
        before = set(registrar.handlers)
        unit.register(cast("grpc.aio.Server", registrar))
        checks |= {service: [unit.ready] for service in registrar.handlers.keys() - before}
    return checks


async def _drained(server: grpc.aio.Server, registrar: Registrar, health: Health, drain_s: float) -> None:
    log(_LOG, logging.INFO, "draining", drain_s=drain_s)
    await health.drain()
    registrar.watches.drain()
    await server.stop(drain_s)
    log(_LOG, logging.INFO, "drained")


async def _closed(unit: ServiceUnit) -> None:
    """Close `unit`; one that breaks must not keep the others open."""
    try:
        await unit.close()
    except Exception:  # noqa: BLE001 - whatever it was, the log has it
        _LOG.exception("close failed", extra={"theory_fields": {"unit": unit.name}})
