"""Messages between replicas: a connection of its own that hears them, for as long as the server is there."""

import contextlib
import logging
import math
from collections.abc import AsyncIterator, Callable
from typing import TypeAlias

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from services.drivers.background import Background, Pauses
from services.drivers.redis.address import Address
from theory.core.clock import Clock
from theory.core.secret import Secret

Hear: TypeAlias = Callable[[bytes], None]

_LONGEST_PAUSE_S = 5.0

_log = logging.getLogger(__name__)


class Listener:
    """Calls whoever subscribed to a channel. What is said while the server is away is not heard: hints, no facts."""

    def __init__(self, address: Address, secret: Secret | None, clock: Clock) -> None:
        self._address = address
        self._secret = secret
        self._clock = clock
        self._hear_by_channel: dict[bytes, Hear] = {}
        self._background = Background("redis.listener", self._run)

    def subscribe(self, channel: str, hear: Hear) -> None:
        """Call `hear` with each message, from `start` on. Called before it, once for a channel."""
        self._hear_by_channel[channel.encode()] = hear

    def start(self) -> None:
        """Begin to listen, where anybody subscribed."""
        if self._hear_by_channel:
            self._background.start()

    async def close(self) -> None:
        """Stop."""
        await self._background.close()

    async def _run(self) -> None:
        pauses = Pauses(self._clock, longest_s=_LONGEST_PAUSE_S)
        while True:
            try:
                async with self._subscribed() as connection:
                    pauses.reset()
                    while True:
                        self._hear(await connection.read_response(disable_decoding=True, timeout=math.inf))
            except (RedisError, OSError) as error:
                _log.info("redis.deaf", extra={"theory_fields": {"why": repr(error), "pause_s": pauses.next_s}})
            await pauses.make()

    @contextlib.asynccontextmanager
    async def _subscribed(self) -> AsyncIterator[AbstractConnection]:
        connection = await self._address.connect(self._secret)
        try:
            await connection.send_command("SUBSCRIBE", *self._hear_by_channel)
            yield connection
        finally:
            await connection.disconnect(nowait=True)

    def _hear(self, told: tuple[bytes, bytes, bytes]) -> None:
        kind, channel, said = told
        if kind != b"message":  # that we subscribed
            return
        try:
            self._hear_by_channel[channel](said)
        except Exception:  # noqa: BLE001 - the next message is worth hearing
            _log.exception("redis.unheard")
