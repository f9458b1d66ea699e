"""The operator's side."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.unit.theory.wire.echo import SERVICE, Echo, caller, health_stub
from theory.core.errors import Invalid, NotReady, Unavailable
from theory.wire.server import running

_HTTP = "http://127.0.0.1:0"


async def _get(url: str, path: str, method: str = "GET") -> tuple[str, str]:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition("\r\n\r\n")
    assert f"Content-Length: {len(body.encode())}" in head
    return head.splitlines()[0], body


async def test_metrics_are_there_to_be_scraped(echo: Echo) -> None:
    async with running([echo.unit()], admin_url=_HTTP) as server:
        await caller(server).unary()
        status, body = await _get(server.admin_urls[0], "/metrics")
    assert status == "HTTP/1.1 200 OK"
    assert f'grpc_server_call_started_total{{grpc_method="{SERVICE}/Unary"}}' in body


async def test_probes_tell_living_from_ready(echo: Echo) -> None:
    async def away() -> None:
        raise Unavailable("STORE_UNREACHABLE", "gone")

    async with running([echo.unit(ready=away)], admin_url=_HTTP) as server:
        assert (await _get(server.admin_urls[0], "/live"))[0] == "HTTP/1.1 200 OK"
        assert (await _get(server.admin_urls[0], "/ready"))[0] == "HTTP/1.1 503 Service Unavailable"
    async with running([Echo().unit()], admin_url=_HTTP) as server:
        assert (await _get(server.admin_urls[0], "/ready"))[0] == "HTTP/1.1 200 OK"


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("POST", "/metrics"), ("GET", "/" + "a" * 10_000)])
async def test_anything_else_is_not_found_or_cut_off(echo: Echo, method: str, path: str) -> None:
    async with running([echo.unit()], admin_url=_HTTP) as server:
        if len(path) > 4096:
            with pytest.raises((AssertionError, ConnectionError)):
                await _get(server.admin_urls[0], path, method)
        else:
            assert (await _get(server.admin_urls[0], path, method))[0] == "HTTP/1.1 404 Not Found"
        assert (await _get(server.admin_urls[0], "/live"))[0] == "HTTP/1.1 200 OK"


async def test_a_caller_that_hangs_up_harms_nobody(echo: Echo) -> None:
    async with running([echo.unit()], admin_url=_HTTP) as server:
        parts = urlsplit(server.admin_urls[0])
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(b"GET /metr")
        writer.close()
        await writer.wait_closed()
        assert (await _get(server.admin_urls[0], "/live"))[0] == "HTTP/1.1 200 OK"


async def test_reflection_and_health_are_there_for_tools(echo: Echo, tmp_path: Path) -> None:
    async with (
        running([echo.unit()], admin_url=f"unix://{tmp_path}/admin.sock") as server,
        grpc.aio.insecure_channel(server.admin_urls[0]) as channel,
    ):
        answer = await health_stub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[arg-type]  # an asynchronous one does
        reflection = stub.ServerReflectionInfo(timeout=5)
        await reflection.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        listed = await reflection.read()
        assert SERVICE in {each.name for each in listed.list_services_response.service}
        await reflection.done_writing()
        reflection.cancel()


async def test_both_kinds_may_be_asked_for_at_once(echo: Echo, tmp_path: Path) -> None:
    urls = f"{_HTTP}, unix://{tmp_path}/admin.sock,"
    async with running([echo.unit()], admin_url=urls) as server:
        assert [url.split(":", 1)[0] for url in server.admin_urls] == ["http", "unix"]


async def test_without_a_url_there_is_no_listener(echo: Echo) -> None:
    async with running([echo.unit()]) as server:
        assert server.admin_urls == ()


async def test_a_port_that_is_taken_stops_the_start(echo: Echo) -> None:
    async with running([echo.unit()], admin_url=_HTTP) as first:
        with pytest.raises(NotReady) as caught:
            async with running([Echo().unit()], admin_url=first.admin_urls[0]):
                pass
    assert caught.value.reason == "ADDRESS_TAKEN"


async def test_a_url_of_another_form_stops_the_start(echo: Echo) -> None:
    with pytest.raises(Invalid):
        async with running([echo.unit()], admin_url="ftp://127.0.0.1:0"):
            pass
