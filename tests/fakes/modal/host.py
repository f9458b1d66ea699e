"""The plane at work: on a port of loopback, on a loop and a thread of its own."""

import asyncio
import socket
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self, TypeVar

from grpclib.server import Server
from modal_proto import api_pb2 as pb

from tests.fakes.modal.hub import Hub
from tests.fakes.modal.plane import ControlPlane
from tests.fakes.modal.processes import ProcessRunner, Runner
from tests.fakes.modal.router import CommandRouter

T = TypeVar("T")

TOKEN = ("ak-fake", "as-fake")
_READY_S = 10
_GRACE_S = 1.0


class FakeModal:
    """Entering it returns once it answers. Its state belongs to its loop: look at it through `call`."""

    url: str
    """Where it answers."""

    def __init__(self, runner: Runner | None = None) -> None:
        """Sandboxes run in `runner`, or are processes of this machine."""
        self.hub = Hub(TOKEN)
        self.plane = ControlPlane(self.hub)
        self.processes = ProcessRunner()
        self.plane.runner = runner or self.processes
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="fake-modal", daemon=True)

    @property
    def variables(self) -> Mapping[str, str]:
        """What a process needs in its environment to be a client of it, however the client is opened."""
        return {
            "MODAL_SERVER_URL": self.url,
            "MODAL_TOKEN_ID": TOKEN[0],
            "MODAL_TOKEN_SECRET": TOKEN[1],
            "MODAL_CONFIG_PATH": "/nonexistent/modal.toml",
            "MODAL_DISABLE_API_PROXY": "1",
        }

    def call(self, look: Callable[[], T]) -> T:
        """What `look` returns when it is run on the plane's loop."""

        async def on_loop() -> T:
            return look()

        return asyncio.run_coroutine_threadsafe(on_loop(), self._loop).result(_READY_S)

    def keep_secret(self, name: str, values: Mapping[str, str], environment: str = "main") -> None:
        """Make a Secret, as somebody did who set up the workspace."""

        def keep() -> None:
            made = self.plane.secrets.resolve(environment, name, pb.OBJECT_CREATION_TYPE_CREATE_IF_MISSING)
            made.thing.values = dict(values)

        self.call(keep)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(_READY_S):
            raise RuntimeError("the fake of Modal did not get ready")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_READY_S)

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        # asyncio sets TCP_NODELAY only where the protocol is named; without it each call takes 40 ms.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.hub.url = self.url
        server = Server([self.plane, CommandRouter(self.hub, self.plane)])
        await server.start(sock=listener)
        self._ready.set()
        await self._stop.wait()
        self.plane.end_all()
        await self.plane.ended()
        server.close()
        try:
            async with asyncio.timeout(_GRACE_S):
                await server.wait_closed()
        except TimeoutError:
            return
