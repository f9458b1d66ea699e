"""The parent of one processor, a program of its own: outlives the executor, notes how it ended, leaves nobody behind.

Run by path with the standard library alone: `python guardian.py PLACE MEMORY_BYTES FILE_BYTES BELT_S COMMAND...`. It
runs the command in the place with its secrets in the environment, writes what it prints into `.log/<position>` as it
comes, of which the last two files are kept, and `.exit` when the command has ended. SIGTERM goes to the command's
process group; SIGUSR1, or BELT_S seconds, kill it.
"""

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import struct
import sys
from pathlib import Path

LOG, EXIT = ".log", ".exit"
LOG_FILE_BYTES = 8 * 1024 * 1024
"""How long one file of the log may become, about."""
MEMORY_FILE_BYTES = 1024 * 1024
"""The same where there are secrets: that log is kept in memory."""
HEAD = struct.Struct(">BI")
"""Before each frame of the log: 1 for standard output or 2 for standard error, and how many bytes follow."""
READ_BYTES = 65536
"""The most that one frame holds."""
CANNOT_START = 127

_SUBREAPER = 36
_SIGNALLED = 128


class Log:
    """What was printed, in frames, in at most two files named after how many bytes came before them."""

    def __init__(self, folder: Path, file_bytes: int) -> None:
        self._folder, self._file_bytes = folder, file_bytes
        self._began = self._at = 0
        self._file = -1
        self._before: Path | None = None

    def add(self, number: int, data: bytes) -> None:
        """Write a frame, at once. What the disk has no room for is not kept, and the processor goes on."""
        with contextlib.suppress(OSError):
            if self._file < 0 or self._at - self._began >= self._file_bytes:
                self._turn()
            frame = HEAD.pack(number, len(data)) + data
            if os.write(self._file, frame) == len(frame):
                self._at += len(frame)
            else:
                os.ftruncate(self._file, self._at - self._began)

    def _turn(self) -> None:
        file = os.open(self._named(self._at), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        if self._file >= 0:
            os.close(self._file)
            if self._before is not None:
                self._before.unlink()
            self._before = self._named(self._began)
        self._file, self._began = file, self._at

    def _named(self, position: int) -> Path:
        return self._folder / f"{position:020}"


class Guardian:
    """Runs one command and everything that comes of it."""

    def __init__(self, place: Path) -> None:
        self._secrets = place / "run" / "secrets"
        self._place, log = place, place / LOG
        log.mkdir(mode=0o700, exist_ok=True)
        self._log = Log(log, MEMORY_FILE_BYTES if self._secrets.is_dir() else LOG_FILE_BYTES)
        self._group = 0
        self._output, self._output_end = os.pipe()
        self._errors, self._errors_end = os.pipe()
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
            self._log.add(2, f"{command[0]}: {error.strerror}\n".encode())
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
                    (os.POSIX_SPAWN_DUP2, self._output_end, 1),
                    (os.POSIX_SPAWN_DUP2, self._errors_end, 2),
                ],
                setpgroup=0,
            )
        finally:
            # This program itself needs no more than it has, and must be able to write its notes.
            for kind, usual in before.items():
                resource.setrlimit(kind, usual)
            os.close(self._output_end)
            os.close(self._errors_end)

    def _environment(self) -> dict[str, str]:
        found = self._secrets.iterdir() if self._secrets.is_dir() else ()
        return {**os.environ, **{each.name: each.read_text("utf-8") for each in found}}  # noqa: TID251 - made for it

    def _follow(self) -> int:
        """The exit code of the command; what it prints is taken in meanwhile."""
        sources = [self._woken, self._output, self._errors]
        while True:
            ready, _, _ = select.select(sources, [], [])
            for each in ready:
                if each != self._woken and not self._take(each):
                    sources.remove(each)
            if self._woken in ready:
                os.read(self._woken, 4096)
                ended = self._ended()
                if ended is not None:
                    return ended

    def _take(self, source: int) -> bool:
        """Write down what was printed; whether more may come."""
        data = os.read(source, READ_BYTES)
        if data:
            self._log.add(1 if source == self._output else 2, data)
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
        for each in (self._output, self._errors):
            os.set_blocking(each, False)
            with contextlib.suppress(BlockingIOError):
                while self._take(each):
                    pass

    def _note(self, code: int) -> None:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
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
