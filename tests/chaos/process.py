"""A service in a process of its own, which is killed and started again."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from theory.core.clock import Clock
from theory.core.errors import TheoryError

ROOT = Path(__file__).parents[2]
START_S = 60.0

_POLL_S = 0.02


class Process:
    """`python -m services.<name>` in a home; at most one at a time. It has failed if it ends by itself."""

    def __init__(
        self,
        name: str,
        home: Path,
        variables: Mapping[str, str],
        *,
        clock: Clock,
        ask: Callable[[], Awaitable[object]],
    ) -> None:
        """`ask` is a call that it answers once it is ready."""
        self.name = name
        self._log = home / f"{name}.log"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("THEORY_")}
        self._environment = {**kept, "THEORY_HOME": str(home), **variables}
        self._clock = clock
        self._ask = ask
        self._running: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it and return once it answers."""
        with self._log.open("ab") as log:
            self._running = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", f"services.{self.name}"),
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        async with asyncio.timeout(START_S):
            while not await self._answers():
                self._alive()
                await self._clock.sleep(_POLL_S)

    async def kill(self) -> None:
        """End it as a crash does: nothing is finished, nobody is told."""
        running = self._alive()
        running.kill()
        await running.wait()

    async def freeze(self, s: float) -> None:
        """Let it stand still, as a machine does that has no memory left, and go on as if nothing had been."""
        running = self._alive()
        running.send_signal(signal.SIGSTOP)
        await self._clock.sleep(s)
        running.send_signal(signal.SIGCONT)

    async def end(self) -> None:
        """End it if it runs."""
        if self._running is not None and self._running.returncode is None:
            await self.kill()

    def _alive(self) -> asyncio.subprocess.Process:
        assert self._running is not None
        said = self._log.read_text()[-4000:] if self._running.returncode is not None else ""
        assert self._running.returncode is None, f"{self.name} ended by itself:\n{said}"
        return self._running

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(1):
                await self._ask()
        except (TheoryError, TimeoutError):
            return False
        return True
