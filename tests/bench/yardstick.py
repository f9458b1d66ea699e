"""What one call of a gRPC echo in Go costs its server on this machine, now: what our figures are measured by."""

import asyncio
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import psutil
from google.protobuf.wrappers_pb2 import BytesValue

from tests.bench.server import ROOT, Process, cpu_per_item

_SOURCE = ROOT / "tests" / "bench" / "echo"
_CALLS = 20_000
"""Many: processor time is counted in hundredths of a second."""
_PAYLOAD = BytesValue(value=b"x" * 100)


async def go_echo_us(at_once: int) -> float | None:
    """Microseconds of the server's processor time for one unary call of many at once; None where there is no Go."""
    go = shutil.which("go")
    if go is None:
        return None
    with TemporaryDirectory(prefix="theory-bench-") as folder:
        program, socket = Path(folder) / "echo", Path(folder) / "echo.sock"
        built = await asyncio.create_subprocess_exec(go, "build", "-C", str(_SOURCE), "-o", str(program), ".")
        if await built.wait():
            return None
        child = await asyncio.create_subprocess_exec(str(program), str(socket))
        try:
            return await _cost(Process(psutil.Process(child.pid)), socket, at_once)
        finally:
            child.terminate()
            await child.wait()


async def _cost(server: Process, socket: Path, at_once: int) -> float:
    async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
        echo = channel.unary_unary(
            "/bench.Echo/Echo",
            request_serializer=BytesValue.SerializeToString,
            response_deserializer=BytesValue.FromString,
        )

        async def call() -> None:
            assert await echo(_PAYLOAD, wait_for_ready=True, timeout=10) == _PAYLOAD

        async def calls(_: int) -> None:
            await asyncio.gather(*(call() for _ in range(at_once)))

        return await cpu_per_item(server, calls, _CALLS // at_once, at_once)
