"""Readiness, as it is asked for and published."""

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2

from tests.unit.theory.wire.echo import SERVICE, Echo, health_stub
from theory.core.clock import FakeClock
from theory.core.errors import Unavailable
from theory.wire import health
from theory.wire.health import Health, Ready
from theory.wire.server import running

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Store:
    """Something that may be away."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked = 0

    async def ready(self) -> None:
        self.asked += 1
        if self.error is not None:
            raise self.error


async def _status(of: Health, service: str) -> int:
    answer = await of._servicer.Check(health_pb2.HealthCheckRequest(service=service), None)  # type: ignore[arg-type]  # it asks no context
    return answer.status


async def _statuses(of: Health, *services: str) -> list[int]:
    return [await _status(of, service) for service in services]


async def test_a_service_whose_store_is_away_is_not_ready_and_lives() -> None:
    away = Store(Unavailable("STORE_UNREACHABLE", "gone"))
    checked = Health({"a.A": [Store().ready], "b.B": [away.ready]}, clock=FakeClock())
    await checked.start()
    statuses = await _statuses(checked, "a.A", "b.B", "", "ready", "live")
    assert statuses == [_SERVING, _NOT_SERVING, _NOT_SERVING, _NOT_SERVING, _SERVING]
    assert not checked.ready
    await checked.drain()


@pytest.mark.parametrize("error", [Unavailable("STORE_UNREACHABLE", "gone"), ValueError("bug"), TimeoutError()])
async def test_whatever_a_check_raises_means_not_ready(error: Exception) -> None:
    checked = Health({"a.A": [Store(error).ready]}, clock=FakeClock())
    await checked.poll()
    assert not checked.ready


async def test_a_check_that_hangs_means_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(health, "POLL_S", 0.01)
    checked = Health({"a.A": [hang]}, clock=FakeClock())
    await checked.poll()
    assert not checked.ready


async def test_readiness_is_asked_for_again_and_again() -> None:
    clock, store = FakeClock(), Store(Unavailable("STORE_UNREACHABLE", "gone"))
    checked = Health({"a.A": [store.ready]}, clock=clock)
    await checked.start()
    assert not checked.ready
    store.error = None
    await clock.until_sleepers(1)
    clock.advance(health.POLL_S)
    await clock.until_sleepers(1)
    assert checked.ready
    assert store.asked == 2
    await checked.drain()
    assert clock.sleepers == 0


async def test_a_check_that_speaks_for_two_services_is_asked_once() -> None:
    store = Store()
    ready: Ready = store.ready
    await Health({"a.A": [ready], "b.B": [ready]}, clock=FakeClock()).poll()
    assert store.asked == 1


async def test_nothing_is_ready_once_draining_began() -> None:
    store = Store()
    checked = Health({"a.A": [store.ready]}, clock=FakeClock())
    await checked.start()
    await checked.drain()
    await checked.poll()
    assert await _statuses(checked, "a.A", "", "live") == [_NOT_SERVING] * 3


async def test_a_unit_that_is_not_ready_still_answers(echo: Echo) -> None:
    away = Store(Unavailable("STORE_UNREACHABLE", "gone"))
    async with running([echo.unit(ready=away.ready)]) as server, grpc.aio.insecure_channel(server.url) as channel:
        stub = health_stub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=SERVICE), timeout=5)
        assert answer.status == _NOT_SERVING
