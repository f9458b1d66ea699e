"""The parent of one processor, a program of its own: outlives the executor, notes how it ended, leaves nobody behind.

Run by path with the standard library alone: `python guardian.py PLACE MEMORY_BYTES FILE_BYTES BELT_S COMMAND...`. It
runs the command in the place with its secrets in the environment, keeps the end of what it prints in `.log`, and writes
`.exit` when the command has ended. SIGTERM goes to the command's process group; SIGUSR1, or BELT_S seconds, kill it.
"""

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import sys
from pathlib import Path

LOG, EXIT = ".log", ".exit"
LOG_BYTES = 20 * 1024
CANNOT_START = 127

_SUBREAPER = 36
_SIGNALLED = 128


class Guardian:
    """Runs one command and everything that comes of it."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._log = bytearray()
        self._group = 0
        self._output, self._input = os.pipe()
        self._woken, waker = os.pipe()
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only so that it wakes the loop
        signal.signal(signal.SIGTERM, lambda *_: self._send(signal.SIGTERM))
        signal.signal(signal.SIGUSR1, lambda *_: self._send(signal.SIGKILL))
        signal.signal(signal.SIGALRM, lambda *_: self._send(signal.SIGKILL))

    def run(self, command: list[str], *, memory_bytes: int, file_bytes: int, belt_s: int) -> None:
        """Run the command to its end and note it."""
        # Whatever it leaves behind becomes a child of this program, and is found.
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
        signal.alarm(belt_s)
        try:
            self._group = self._spawn(command, memory_bytes, file_bytes)
        except OSError as error:
            self._log += f"{command[0]}: {error.strerror}\n".encode()
            code = CANNOT_START
        else:
            code = self._follow()
        self._end_the_rest()
        self._note(code)

    def _spawn(self, command: list[str], memory_bytes: int, file_bytes: int) -> int:
        limits = {
            resource.RLIMIT_CORE: 0,
            resource.RLIMIT_DATA: memory_bytes,
            resource.RLIMIT_FSIZE: file_bytes,
            resource.RLIMIT_NOFILE: 1024,
        }
        before = {kind: resource.getrlimit(kind) for kind in limits}
        for kind, limit in limits.items():
            hard = before[kind][1]
            resource.setrlimit(kind, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
        try:
            return os.posix_spawn(
                command[0],
                command,
                self._environment(),
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, self._input, 1),
                    (os.POSIX_SPAWN_DUP2, self._input, 2),
                ],
                setpgroup=0,
            )
        finally:
            # This program itself needs no more than it has, and must be able to write its notes.
            for kind, usual in before.items():
                resource.setrlimit(kind, usual)
            os.close(self._input)

    def _environment(self) -> dict[str, str]:
        secrets = self._place / "run" / "secrets"
        found = secrets.iterdir() if secrets.is_dir() else ()
        return {**os.environ, **{each.name: each.read_text("utf-8") for each in found}}  # noqa: TID251 - made for it

    def _follow(self) -> int:
        """The exit code of the command; what it prints is taken in meanwhile."""
        sources = [self._woken, self._output]
        while True:
            ready, _, _ = select.select(sources, [], [])
            if self._output in ready and not self._take():
                sources.remove(self._output)
            if self._woken in ready:
                os.read(self._woken, 4096)
                ended = self._ended()
                if ended is not None:
                    return ended

    def _take(self) -> bool:
        """Keep the end of what was printed; whether more may come."""
        data = os.read(self._output, 65536)
        self._log += data
        del self._log[:-LOG_BYTES]
        return bool(data)

    def _ended(self) -> int | None:
        """The exit code of the command, once it has ended; others that ended are laid to rest on the way."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return None
                if pid == self._group:
                    code = os.waitstatus_to_exitcode(status)
                    return code if code >= 0 else _SIGNALLED - code
        return None

    def _end_the_rest(self) -> None:
        """Kill whoever the command left behind, and whoever they leave, until nobody is there."""
        with contextlib.suppress(ChildProcessError):
            while True:
                for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)
                os.waitpid(-1, 0)
        os.set_blocking(self._output, False)
        with contextlib.suppress(BlockingIOError):
            while self._take():
                pass

    def _note(self, code: int) -> None:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        (self._place / LOG).write_bytes(bytes(self._log))
        draft = self._place / f"{EXIT}.draft"
        draft.write_text(json.dumps({"code": code, "cpu_ms": int((used.ru_utime + used.ru_stime) * 1000)}))
        draft.replace(self._place / EXIT)

    def _send(self, number: int) -> None:
        if self._group:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._group, number)


def main(arguments: list[str]) -> None:
    """Guard the command that the arguments name."""
    place, memory_bytes, file_bytes, belt_s, *command = arguments
    os.chdir(place)
    Guardian(Path(place)).run(command, memory_bytes=int(memory_bytes), file_bytes=int(file_bytes), belt_s=int(belt_s))


if __name__ == "__main__":
    main(sys.argv[1:])
