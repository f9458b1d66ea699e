"""One large blob through the data plane, against the HTTP library alone on the same machine in the same run.

The baselines do what a data plane cannot do without: PUT writes a file and brings it to the disk, GET lets the kernel
send one. Clients are the same on both sides, read all bytes, and hash what they read.
"""

import asyncio
import io
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from aiohttp import web

from tests.bench.report import Figure
from tests.bench.server import ROOT, serving
from theory.core.cid import Cid
from theory.core.clock import SystemClock
from theory.core.presign import BlobGet, BlobPut, PresignedRequest
from theory.sdk.client import Theory
from theory.sdk.transfer import Transfer

_MIB = 1 << 20
_SIZE = 64 * _MIB
_ROUNDS = 7
_FLOOR = 0.7


def _blob(number: int) -> bytes:
    return number.to_bytes(8, "big") + bytes(range(256)) * (_SIZE // 256 - 1) + bytes(248)


async def _timed(move: Callable[[], object]) -> float:
    began = time.perf_counter()
    await asyncio.to_thread(move)
    return time.perf_counter() - began


async def measure() -> list[Figure]:
    """PUT and GET, each round beside its baseline, so that both meet the same neighbours."""
    async with serving() as server, Theory.connect(server.url) as theory, _raw() as raw:
        ours: dict[str, list[float]] = {"PUT": [], "GET": []}
        theirs: dict[str, list[float]] = {"PUT": [], "GET": []}
        for number in range(_ROUNDS + 1):
            data = _blob(number)
            cid = Cid.of(data)
            put = await theory.artifacts.presign(BlobPut(cid, _SIZE))
            bare_put, bare_get = raw("PUT", number), raw("GET", number)
            took = {
                "PUT": (await _timed(_sending(put, data)), await _timed(_sending(bare_put, data))),
                "GET": (
                    await _timed(_reading(await theory.artifacts.presign(BlobGet(cid)), cid)),
                    await _timed(_reading(bare_get, cid)),
                ),
            }
            if number:  # the first one warms up
                for method, (own, bare) in took.items():
                    ours[method].append(own)
                    theirs[method].append(bare)
    return [_figure(method, median(ours[method]), median(theirs[method])) for method in ours]


def _figure(method: str, own: float, bare: float) -> Figure:
    baseline = {"PUT": "aiohttp PUT into a file, synced", "GET": "aiohttp and sendfile"}[method]
    ratio = bare / own
    return Figure(
        f"{method} of {_SIZE // _MIB} MiB through the data plane, filesystem, client verifying",
        f"{_SIZE / _MIB / own:,.0f} MiB/s",
        f"{baseline}: {_SIZE / _MIB / bare:,.0f} MiB/s: {ratio:.0%}",
        f">= {_FLOOR:.0%}",
        ratio >= _FLOOR,
    )


def _sending(request: PresignedRequest, data: bytes) -> Callable[[], object]:
    return lambda: Transfer().put(request, io.BytesIO(data), resumable=False)


def _reading(request: PresignedRequest, cid: Cid) -> Callable[[], object]:
    class Nowhere(io.BytesIO):
        def write(self, data: object, /) -> int:
            return len(data)  # type: ignore[arg-type]

    return lambda: Transfer().get(request, cid, Nowhere())


@asynccontextmanager
async def _raw() -> AsyncIterator[Callable[[str, int], PresignedRequest]]:
    """A bare server in a process of its own; makes its requests."""
    with TemporaryDirectory(prefix="theory-bench-") as folder:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.plane", folder, cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        try:
            assert child.stdout is not None
            port = int(await child.stdout.readline())

            def request(method: str, number: int) -> PresignedRequest:
                headers = {"Content-Length": str(_SIZE)} if method == "PUT" else {}
                url = f"http://127.0.0.1:{port}/{number}?"
                return PresignedRequest(url, method, headers, SystemClock().now(), _SIZE)

            yield request
        finally:
            child.terminate()
            await child.wait()


async def _serve(folder: Path) -> None:
    async def put(request: web.Request) -> web.Response:
        handle = os.open(folder / request.match_info["name"], os.O_CREAT | os.O_WRONLY, 0o600)
        async for piece in request.content.iter_chunked(_MIB):
            os.write(handle, piece)
        await asyncio.to_thread(os.fdatasync, handle)
        os.close(handle)
        return web.Response()

    async def get(request: web.Request) -> web.FileResponse:
        return web.FileResponse(folder / request.match_info["name"])

    app = web.Application(client_max_size=2 * _SIZE)
    app.router.add_put("/{name}", put)
    app.router.add_get("/{name}", get)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
