"""The one Redis of an address: connects when asked, again after every break, and sends nothing twice by itself."""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Self, cast

from services.drivers.redis import faults
from services.drivers.redis.address import Address
from services.drivers.redis.line import Argument, Asked, Line, packed
from services.drivers.redis.listener import Hear, Listener
from services.drivers.redis.script import Script
from theory.core.clock import Clock
from theory.core.errors import Invalid, NotReady
from theory.core.secret import Secret

ANSWER_S = 10.0
"""How long a call waits for its reply at most."""

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0


class Redis:
    """Shared by everyone who names the address: one connection for calls, one for what replicas tell each other.

    `Unavailable` (`STORE_UNREACHABLE`) for a call whose connection broke, or that got no reply in time: it may have
    been carried out. Where that is no harm (`repeat`) it is sent once more before. `Exhausted` (`STORE_FULL`),
    `NotReady` (`STORE_DENIED`) and `Corrupt` (`STORE_CORRUPT`) are the server's own refusals.
    """

    def __init__(self, address: Address, secret: Secret | None, clock: Clock, *, answer_s: float = ANSWER_S) -> None:
        self._address = address
        self._secret = secret
        self._answer_s = answer_s
        self._listener = Listener(address, secret, clock)
        self._loop = asyncio.get_running_loop()
        self._queue: list[Asked] = []
        self._flushing = False
        self._line: Line | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._pause_s = _FIRST_PAUSE_S
        self._not_before = 0.0
        self._closed = False

    @classmethod
    async def open(cls, url: str, secret: Secret | None, clock: Clock, *, answer_s: float = ANSWER_S) -> Self:
        """The server at `url`, which answers and keeps what it is given.

        `Invalid` (`URL_INVALID`); `Invalid` (`CONFIG_INVALID`) for a server that, being full, forgets what it likes.
        """
        redis = cls(Address.parse(url), secret, clock, answer_s=answer_s)
        try:
            await redis.ready()
            await redis._refuse_eviction()
        except BaseException:
            await redis.close()
            raise
        return redis

    @property
    def db(self) -> int:
        """The number of the database: channels are of the server, not of one database."""
        return self._address.db

    def start(self) -> None:
        """Begin to listen."""
        self._listener.start()

    async def ready(self) -> None:
        """Return where the server answers."""
        await self.call("PING", repeat=True)

    async def close(self) -> None:
        """Let go; what waits for a reply is told that it is not known."""
        self._closed = True
        await self._listener.close()
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if self._line is not None:
            await self._line.close()
        self._fail_queue(ConnectionError("closed"))

    def subscribe(self, channel: str, hear: Hear) -> None:
        """Call `hear` with each message of the channel. Called before `start`."""
        self._listener.subscribe(channel, hear)

    async def call(self, *command: Argument, repeat: bool = False) -> object:
        """The reply to one command."""
        return await self._ask(Asked(packed(command), self._loop.create_future(), repeat=repeat))

    async def run(
        self, script: Script, keys: Iterable[str], arguments: Iterable[Argument] = (), *, repeat: bool = False
    ) -> object:
        """What a script returns. The server is given the script where it does not have it."""
        command = packed(script.run(keys, arguments))
        return await self._ask(Asked(command, self._loop.create_future(), script, repeat))

    async def _ask(self, asked: Asked) -> object:
        if self._closed or (self._line is None and self._connecting is None and self._loop.time() < self._not_before):
            raise faults.unreachable()
        self._queue.append(asked)
        self._flush_soon()
        return await asked.answer

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Send what was asked in this turn."""
        self._flushing = False
        if self._line is not None:
            queue, self._queue = self._queue, []
            self._line.send(asked for asked in queue if not asked.answer.done())
        elif self._connecting is None and self._queue and not self._closed:
            self._connecting = asyncio.create_task(self._connect(), name="redis.connect")

    async def _connect(self) -> None:
        try:
            connection = await self._address.connect(self._secret)
        except Exception as error:  # noqa: BLE001 - whatever it was, those who wait must hear of it
            self._not_before = self._loop.time() + self._pause_s
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
            self._fail_queue(error)
        else:
            self._pause_s = _FIRST_PAUSE_S
            self._line = Line(connection, self._answer_s, self._lost)
        finally:
            self._connecting = None
            self._flush_soon()

    def _lost(self, why: Exception, unanswered: Iterable[Asked]) -> None:
        self._line = None
        for asked in unanswered:
            if asked.answer.done():
                continue
            error = faults.fault(why) or faults.unreachable()
            if asked.repeat and asked.tries == 1 and error.retryable and not self._closed:
                self._queue.append(asked)
            else:
                asked.answer.set_exception(error)
        self._flush_soon()

    def _fail_queue(self, error: Exception) -> None:
        """Tell those whose commands never left."""
        queue, self._queue = self._queue, []
        for asked in queue:
            if not asked.answer.done():
                asked.answer.set_exception(faults.fault(error) or error)

    async def _refuse_eviction(self) -> None:
        told = b""
        with contextlib.suppress(NotReady):  # a server whose figures are none of our business
            told = cast("bytes", await self.call("INFO", "memory", repeat=True))
        figures = dict(line.split(b":", 1) for line in told.splitlines() if b":" in line)
        policy = figures.get(b"maxmemory_policy", b"noeviction").decode()
        if int(figures.get(b"maxmemory", b"0")) and policy != "noeviction":
            raise Invalid(
                "CONFIG_INVALID",
                f"the store would forget what it holds: its policy is {policy}, and must be noeviction",
            )
