"""One connection, many callers: what is asked in one turn of the loop leaves in one write, replies come in order."""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import InvalidResponse, NoScriptError, RedisError

from services.drivers.redis import faults
from services.drivers.redis.script import Script

Argument: TypeAlias = bytes | str | int

_TRIES = 3

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Asked:
    """A command and whoever waits for its reply."""

    command: bytes
    answer: asyncio.Future[object]
    script: Script | None = None
    """What the command runs."""
    repeat: bool = False
    """Whether it may be sent again where it is not known if it was carried out."""
    tries: int = 0
    sent_at: float = 0.0


def packed(arguments: Sequence[Argument]) -> bytes:
    """A command as it travels."""
    raw = [each if isinstance(each, bytes) else str(each).encode() for each in arguments]
    return b"*%d\r\n%b" % (len(raw), b"".join([b"$%d\r\n%b\r\n" % (len(each), each) for each in raw]))


class Line:
    """Serves from the moment it is made until the connection breaks, a reply is late, or it is closed.

    `lost` is then called once, with what happened, and those commands of which nobody knows whether they were carried
    out.
    """

    def __init__(
        self, connection: AbstractConnection, answer_s: float, lost: Callable[[Exception, Iterable[Asked]], None]
    ) -> None:
        self._connection = connection
        self._answer_s = answer_s
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._out: list[bytes] = []
        self._wake = asyncio.Event()
        self._waiting: deque[Asked | None] = deque()
        """In the order of the replies; None where nobody waits for one."""
        self._known: set[bytes] = set()
        """The scripts that this server has, as far as this connection told it."""
        self._broken = False
        self._watch: asyncio.TimerHandle | None = None
        self._task = asyncio.create_task(self._serve(), name="redis")

    def send(self, batch: Iterable[Asked]) -> None:
        """Put commands on the way, all in one write. A script that this connection did not use yet goes before."""
        now = self._loop.time()
        for asked in batch:
            if asked.script is not None and asked.script.sha not in self._known:
                self._known.add(asked.script.sha)
                self._out.append(packed(asked.script.load()))
                self._waiting.append(None)
            asked.sent_at = now
            asked.tries += 1
            self._out.append(asked.command)
            self._waiting.append(asked)
        self._wake.set()
        if self._watch is None:
            self._watch = self._loop.call_at(now + self._answer_s, self._look)

    async def close(self) -> None:
        """End it."""
        self._break(ConnectionError("closed"))
        await asyncio.wait([self._task])

    async def _serve(self) -> None:
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._until_broken(self._write()))
                both.create_task(self._until_broken(self._read()))
        finally:
            self._break(ConnectionError("ended"))
            await self._connection.disconnect(nowait=True)

    async def _until_broken(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except (RedisError, OSError) as error:
            self._break(error)

    def _break(self, why: Exception) -> None:
        """Take no more, at once: whoever asks next needs another line."""
        if self._broken:
            return
        self._broken = True
        _log.info("redis.lost", extra={"theory_fields": {"why": repr(why), "waiting": len(self._waiting)}})
        if self._watch is not None:
            self._watch.cancel()
        self._out.clear()
        self._lost(why, [asked for asked in self._waiting if asked is not None])
        self._task.cancel()

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            out, self._out = self._out, []
            if out:  # while a slow server keeps this waiting, what comes meanwhile becomes the next write
                await self._connection.send_packed_command(b"".join(out), check_health=False)

    async def _read(self) -> None:
        read = self._connection.read_response
        while True:
            try:
                reply = await read(disable_decoding=True, timeout=math.inf, disconnect_on_error=False)
            except RedisError as error:
                if not faults.speaks(error):
                    raise
                self._refuse(self._next(), error)
                if faults.read_only(error):
                    raise
            else:
                asked = self._next()
                if asked is not None and not asked.answer.done():
                    asked.answer.set_result(reply)

    def _next(self) -> Asked | None:
        if not self._waiting:
            raise InvalidResponse("a reply to nothing")
        return self._waiting.popleft()

    def _refuse(self, asked: Asked | None, error: RedisError) -> None:
        if asked is None:
            return
        if isinstance(error, NoScriptError) and asked.script is not None and asked.tries < _TRIES:
            self._known.discard(asked.script.sha)  # someone flushed them; nothing was carried out
            self.send([asked])
        elif not asked.answer.done():
            asked.answer.set_exception(faults.fault(error) or error)

    def _look(self) -> None:
        """Break the line where a reply is late: those behind it are as late."""
        oldest = next((asked for asked in self._waiting if asked is not None), None)
        if oldest is None:
            self._watch = None
        elif oldest.sent_at + self._answer_s <= self._loop.time():
            self._break(ConnectionError("a reply is late"))
        else:
            self._watch = self._loop.call_at(oldest.sent_at + self._answer_s, self._look)
