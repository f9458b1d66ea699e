"""Sandboxes of one installation: made, found, listed and ended by the names of attempts."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from services.drivers.modal import CALL_S, Absent, Connection, hash_of
from theory.core.errors import TheoryError, Unavailable

if TYPE_CHECKING:
    import modal

_HOME_TAG = "home"
_ATTEMPT_TAG = "attempt"
_MAX_TAG = 63
_CREATE_S = 300.0
"""How long Modal may take to find room: graphics processors are scheduled before the call returns."""


class Overflow(Exception):
    """A command printed more than was asked for."""


class Sandboxes:
    """A name is unique among what runs, and whoever makes one marks afterwards that it was started: none runs twice."""

    def __init__(self, connection: Connection, app_name: str, home_id: str) -> None:
        self._connection = connection
        self._app_name = app_name
        self._home_id = home_id
        self._app: modal.App | None = None

    async def app(self) -> "modal.App":
        """The app that all of them belong to, made where it is not there yet."""
        if self._app is None:
            self._app = await self._connection.call(
                self._connection.sdk.App.lookup.aio,
                self._app_name,
                create_if_missing=True,
                client=self._connection.client,
                environment_name=self._connection.environment,
            )
        return cast("modal.App", self._app)

    async def create(self, name: str, command: Sequence[str], **wanted: Any) -> "modal.Sandbox":
        """The sandbox of the attempt `name`: a new one, or the one that runs already."""
        app = await self.app()
        try:
            return await self._connection.within(
                _CREATE_S,
                self._connection.sdk.Sandbox.create.aio,
                *command,
                app=app,
                name=self._named(name),
                tags=self._tags(name),
                client=self._connection.client,
                **wanted,
            )
        except Unavailable:
            # The name is taken, or the answer was lost: if it runs, it is ours.
            with suppress(Absent):
                return await self.find(name, ended=False)
            raise

    async def find(self, name: str, *, ended: bool = True) -> "modal.Sandbox":
        """The sandbox of the attempt, running or `ended`; `Absent`."""

        async def ask(*, include: bool) -> "modal.Sandbox":
            return await self._connection.again(
                lambda: self._connection.call(
                    self._connection.sdk.Sandbox.from_name.aio,
                    self._app_name,
                    self._named(name),
                    environment_name=self._connection.environment,
                    include_terminated=include,
                    client=self._connection.client,
                )
            )

        if ended:
            with suppress(Absent):
                return await ask(include=True)
        # Those with graphics processors are found only while they run.
        return await ask(include=False)

    async def end(self, name: str) -> None:
        """Stop it if it runs."""
        with suppress(Absent):
            await self.stop(await self.find(name, ended=False))

    async def stop(self, sandbox: "modal.Sandbox") -> None:
        """Stop this one if it runs."""
        with suppress(Absent):
            await self._connection.again(lambda: self._connection.call(sandbox.terminate.aio))

    async def let_go(self, sandbox: "modal.Sandbox") -> None:
        """Close what was opened to command it; it goes on."""
        with suppress(Absent, TheoryError):
            await self._connection.call(sandbox.detach.aio)

    async def running(self) -> Sequence[tuple[str, "modal.Sandbox"]]:
        """What runs for this installation, by the names of attempts."""
        app = await self.app()

        async def ask() -> list[tuple[str, "modal.Sandbox"]]:
            listed = self._connection.sdk.Sandbox.list.aio(
                app_id=app.app_id, tags={_HOME_TAG: self._home_id}, client=self._connection.client
            )
            return [(_name_of(await sandbox.get_tags.aio()), sandbox) async for sandbox in listed]

        return await self._connection.within(_CREATE_S, ask)

    async def run(self, sandbox: "modal.Sandbox", command: Sequence[str], limit_s: float, most: int) -> bytes:
        """What `command` prints in the sandbox, however it ends; `Overflow` for more than `most` bytes."""

        async def ask() -> bytes:
            process = await sandbox.exec.aio(*command, text=False)
            printed = bytearray()
            async for part in process.stdout:
                printed += part
                if len(printed) > most:
                    raise Overflow
            return bytes(printed)

        return await self._connection.within(limit_s + CALL_S, ask)

    async def exit_code(self, sandbox: "modal.Sandbox") -> int | None:
        """How the sandbox itself ended; None while it runs."""
        return await self._connection.again(lambda: self._connection.call(sandbox.poll.aio))

    async def upload(self, sandbox: "modal.Sandbox", local: str, remote: str, limit_s: float) -> None:
        """Copy a file of this machine there."""
        await self._connection.within(limit_s, sandbox.filesystem.copy_from_local.aio, local, remote)

    def _named(self, name: str) -> str:
        return f"theory-{hash_of(self._home_id, name)}"

    def _tags(self, name: str) -> Mapping[str, str]:
        parts = [name[at : at + _MAX_TAG] for at in range(0, len(name), _MAX_TAG)]
        return {_HOME_TAG: self._home_id, **{f"{_ATTEMPT_TAG}{at}": part for at, part in enumerate(parts)}}


def _name_of(tags: Mapping[str, str]) -> str:
    """The attempt's name, which may be longer than a tag."""
    parts = [tags.get(f"{_ATTEMPT_TAG}{at}", "") for at in range(len(tags))]
    return "".join(parts)
