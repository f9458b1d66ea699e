"""Health: whether this process lives, and which of its services can do their work just now."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio

from theory.core.clock import Clock
from theory.core.errors import TheoryError
from theory.wire.telemetry import log

POLL_S = 5.0
"""How often readiness is looked at; an answer must come within 90 % of it."""

_LOG = logging.getLogger("theory.wire.health")
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_ALL = ("", "ready")
_LIVE = "live"

Ready = Callable[[], Awaitable[None]]


class Health:
    """Answers the standard health protocol for each gRPC service, for all together ("" and `ready`), and for `live`.

    Open to everyone: it says nothing but whether. `live` looks at nothing, so that no probe kills a process because its
    database is away.
    """

    def __init__(self, ready_by_service: Mapping[str, Iterable[Ready]], *, clock: Clock) -> None:
        self._ready_by_service = {name: tuple(checks) for name, checks in ready_by_service.items()}
        self._clock = clock
        self._servicer = aio.HealthServicer()
        self._polling: asyncio.Task[None] | None = None
        self.ready = False
        """Whether every service was ready when it was last asked, and nothing has begun to shut down."""

    def register(self, server: grpc.aio.Server) -> None:
        """Serve it on `server`."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def start(self) -> None:
        """Look once, then go on looking in the background."""
        await self._servicer.set(_LIVE, _SERVING)
        await self.poll()
        self._polling = asyncio.create_task(self._poll_forever())

    async def drain(self) -> None:
        """Say from now on that nothing is ready, so that no new calls are sent here."""
        await self._stop_polling()
        self.ready = False
        await self._servicer.enter_graceful_shutdown()

    async def poll(self) -> None:
        """Ask every service whether it is ready, each check once, and publish the answers."""
        checks = {check for each in self._ready_by_service.values() for check in each}
        answers = dict(zip(checks, await asyncio.gather(*map(_holds, checks)), strict=True))
        for service, needed in self._ready_by_service.items():
            await self._set(service, ready=all(answers[check] for check in needed))
        self.ready = all(answers.values())
        for name in _ALL:
            await self._set(name, ready=self.ready)

    async def _set(self, service: str, *, ready: bool) -> None:
        await self._servicer.set(service, _SERVING if ready else _NOT_SERVING)

    async def _poll_forever(self) -> None:
        while True:
            await self._clock.sleep(POLL_S)
            await self.poll()

    async def _stop_polling(self) -> None:
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.wait([self._polling])
            self._polling = None


async def _holds(check: Ready) -> bool:
    try:
        async with asyncio.timeout(POLL_S * 0.9):
            await check()
    except TheoryError as error:
        log(_LOG, logging.WARNING, "not ready", reason=error.reason, message=error.message)
    except Exception:  # noqa: BLE001 - a check that breaks is a service that is not ready
        _LOG.warning("not ready", exc_info=True)
    else:
        return True
    return False
