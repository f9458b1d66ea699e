"""Answers predicates in a process of their own, which is ended when one takes too long."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping
from contextlib import suppress

from services.executor.adapters import judging
from theory.core import jcs
from theory.core.errors import NotReady, Unavailable
from theory.core.jcs import JSON

CPU_S = 5
"""What one answer may take of a processor: on a busy machine the same as on an idle one."""
LONGEST_S = 30
"""How long anybody waits for one answer, however little of a processor there is."""


class SpawnedJudge:
    """One process, begun when it is first needed and again after its end; it answers one question at a time.

    It is spawned, not forked: nothing of the executor is in it, neither memory nor environment nor open files. It
    bounds itself, so that it outlives a killed executor by `cpu_s` of a processor at most.
    """

    def __init__(
        self,
        answer: Callable[[Mapping[str, JSON], bytes], str | None],
        *,
        cpu_s: float = CPU_S,
        longest_s: float = LONGEST_S,
    ) -> None:
        self._answer = f"{answer.__module__}:{answer.__qualname__}"
        self._cpu_s = cpu_s
        self._longest_s = longest_s
        self._process: Process | None = None
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """Of the process, where there is one."""
        return None if self._process is None else self._process.pid

    async def complaint(self, rule: Mapping[str, JSON], document: bytes) -> str | None:
        """See `Judge.complaint`."""
        async with self._turn:
            for _ in range(2):  # it may have been killed for what others did; what ends it twice does so by itself
                await self._begin()
                try:
                    return await self._asked(jcs.canonical(rule), document)
                except EOFError:
                    continue
        return "its process ended without an answer: it takes more of the machine than a predicate has"

    async def close(self) -> None:
        """End it."""
        async with self._turn:
            await self._end()

    async def _asked(self, rule: bytes, document: bytes) -> str | None:
        process, answered = self._process, False
        if process is None or process.stdin is None or process.stdout is None:
            raise EOFError
        try:
            async with asyncio.timeout(self._longest_s):
                for part in (rule, document):
                    process.stdin.write(judging.framed(part))
                await process.stdin.drain()
                answer = jcs.parse(await _frame(process.stdout))
            answered = True
        except TimeoutError as error:
            raise _overran(self._longest_s) from error
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            if await process.wait() == -signal.SIGPROF:
                raise _overran(self._cpu_s) from error
            raise EOFError from error
        finally:
            if not answered:  # also for a caller that left: the next one must not read this one's answer
                await self._end()
        return None if answer is None else str(answer)

    async def _begin(self) -> None:
        if self._process is not None and self._process.returncode is None:
            return
        command = [sys.executable, "-P", "-m", judging.__name__, self._answer, str(self._cpu_s)]
        environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
        ready = False
        try:
            async with asyncio.timeout(self._longest_s):
                # A session of its own: Ctrl-C in a terminal is for the executor, which may still have to ask.
                self._process = await asyncio.create_subprocess_exec(
                    *command,
                    env=environment,
                    stdin=PIPE,
                    stdout=PIPE,
                    stderr=DEVNULL,
                    start_new_session=True,
                )
                if self._process.stdout is not None:
                    await _frame(self._process.stdout)
            ready = True
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            message = "the process that answers predicates does not start"
            raise Unavailable("SERVICE_UNREACHABLE", message) from error
        finally:
            if not ready:
                await self._end()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        await process.wait()


async def _frame(stream: asyncio.StreamReader) -> bytes:
    return await stream.readexactly(judging.size_of(await stream.readexactly(judging.HEAD_BYTES)))


def _overran(timeout_s: float) -> NotReady:
    return NotReady("PREDICATE_TIMED_OUT", f"was not answered within {timeout_s:g} s", timeout_s=f"{timeout_s:g}")
