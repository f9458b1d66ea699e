"""Containers by name: every call may be made again, and finds what an earlier one did."""

from pathlib import Path
from typing import Any

from services.executor.adapters.runtimes.frames import Frame, Position
from services.executor.adapters.runtimes.local.engine import Engine, EngineRefused
from services.executor.adapters.runtimes.local.printed import frames_behind
from services.executor.adapters.runtimes.local.profile import Enclosure, creation
from services.executor.adapters.runtimes.local.state import ContainerState
from services.executor.adapters.runtimes.log import LogTail, secrets_of
from theory.core.errors import NotReady

_NOT_FOUND, _CONFLICT = 404, 409
_LOG_LINES = 500
PREFIX = "theory-"


class Containers:
    """The containers of attempts: `theory-<attempt>`. The engine lets a name exist once, so nothing is made twice."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def find(self, name: str) -> ContainerState | None:
        """What the engine says of it; None where there is none."""
        try:
            return ContainerState.of(await self._engine.call(lambda client: client.inspect_container(PREFIX + name)))
        except EngineRefused as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    async def create(self, wanted: Enclosure) -> bool:
        """Make it, not started; False where the name is taken. `EngineRefused`."""
        try:
            await self._engine.call(lambda client: client.create_container(**creation(client, wanted)))
        except EngineRefused as error:
            if error.status != _CONFLICT:
                raise
            return False
        return True

    async def start(self, name: str) -> None:
        """Start it; one that runs is fine. `EngineRefused` where its command cannot be run."""
        await self._engine.call(lambda client: client.start(PREFIX + name))

    async def signal(self, name: str, signal: str) -> None:
        """Send a signal to it; one that does not run is fine."""
        try:
            await self._engine.call(lambda client: client.kill(PREFIX + name, signal))
        except EngineRefused as error:
            if error.status not in {_NOT_FOUND, _CONFLICT}:
                raise

    async def log_tail(self, name: str, place: Path) -> str:
        """The end of what it printed, without the secrets of its place; empty where the engine no longer knows."""

        def read(client: Any) -> str:  # noqa: ANN401 - the engine's client
            tail = LogTail()
            for piece in client.logs(PREFIX + name, stream=True, follow=False, tail=_LOG_LINES):
                tail.add(piece)
            return tail.text(secrets_of(place))

        try:
            return await self._engine.call(read)
        except (EngineRefused, NotReady):
            return ""

    async def frames(self, name: str, after: Position, max_bytes: int) -> tuple[list[Frame], bool]:
        """What it printed behind a position, up to about `max_bytes`; and whether there was more. `EngineRefused`."""
        return await self._engine.call(lambda client: frames_behind(client, PREFIX + name, after, max_bytes))

    async def remove(self, name: str) -> None:
        """Kill and delete it; one that is not there, or about to go, is fine."""
        try:
            await self._engine.call(lambda client: client.remove_container(PREFIX + name, force=True, v=True))
        except EngineRefused as error:
            if error.status not in {_NOT_FOUND, _CONFLICT}:
                raise

    async def reachable(self) -> bool:
        """Whether the engine answers now."""
        try:
            await self._engine.call(lambda client: client.ping())
        except (NotReady, EngineRefused):
            return False
        return True

    async def names(self, label: str) -> list[str]:
        """The attempts that have a container with this label, in whatever state."""
        found = await self._engine.call(lambda client: client.containers(all=True, filters={"label": label}))
        names = [name.removeprefix("/") for each in found for name in each["Names"]]
        return sorted(name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX))

    async def command_of(self, image_id: str) -> tuple[str, ...]:
        """What the image runs by itself: its entry point and its arguments."""

        def read(client: Any) -> tuple[str, ...]:  # noqa: ANN401 - the engine's client
            config = client.inspect_image(image_id)["Config"]
            return (*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ()))

        return await self._engine.call(read)
