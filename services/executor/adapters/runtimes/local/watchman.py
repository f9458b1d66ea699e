"""Who ends the containers of an executor that never comes back: a program of its own, which waits for its death.

`python -m services.executor.adapters.runtimes.local.watchman HOME_ID PID_FILE GRACE_S [ENGINE_URL]`. It sleeps until
its standard input ends, which it does with whoever holds the other end, however that one dies. From then on it kills
the containers of the home whose time is up, and ends with the last of them, or once the home has another watchman.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

HOME_LABEL, TIMEOUT_LABEL = "theory.home", "theory.timeout_s"
"""What each container says of itself: whose it is, and how long it may run."""
_ROOT = Path(__file__).parents[5]


class Watchman:
    """The executor's end: one watchman for its home, as long as it lives."""

    def __init__(self, home: Path, home_id: str, engine_url: str, grace_s: float) -> None:
        self._arguments = [home_id, str(home / "watchman.pid"), str(grace_s), *([engine_url] if engine_url else [])]
        self._pid = 0
        self._held = -1
        self._one_at_a_time = threading.Lock()

    def keep(self) -> None:
        """Let there be one from now on, before anything is started that it is to end; on any thread. `OSError`."""
        with self._one_at_a_time:
            if not self._lives():
                self._let_go()
                self._spawn()

    def _spawn(self) -> None:
        end, self._held = os.pipe()
        try:
            command = [sys.executable, "-m", __name__, *self._arguments]
            actions = [
                (os.POSIX_SPAWN_DUP2, end, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ]
            # What the engine's client looks for itself is all of the environment that it needs.
            given = os.environ.items()  # noqa: TID251 - it is passed on, not read
            kept = {name: value for name, value in given if name.startswith("DOCKER_")}
            environment = {**kept, "PATH": os.defpath, "PYTHONPATH": str(_ROOT)}
            self._pid = os.posix_spawn(command[0], command, environment, file_actions=actions, setsid=True)
        finally:
            os.close(end)

    def close(self, *, needed: bool) -> None:
        """Leave what still runs to it; where nothing does, it is not needed, and ends."""
        with self._one_at_a_time:
            if not needed and self._lives():
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)
                self._pid = 0
            self._let_go()

    def _lives(self) -> bool:
        try:
            return self._pid != 0 and os.waitpid(self._pid, os.WNOHANG) == (0, 0)
        except ChildProcessError:  # somebody else has buried it
            return False

    def _let_go(self) -> None:
        if self._held >= 0:
            os.close(self._held)
            self._held = -1


def main(arguments: Sequence[str]) -> int:
    """Wait, then watch."""
    home_id, pid_file, grace_s, *url = arguments
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    own, place = str(os.getpid()), Path(pid_file)
    with suppress(FileNotFoundError):  # the home is gone, and all that was in it
        place.write_text(own)
        while os.read(0, 1):
            continue
        # Loaded only now: who waits costs next to nothing.
        from services.executor.adapters.runtimes.local.overdue import end_overdue  # noqa: PLC0415

        asyncio.run(end_overdue(url[0] if url else "", home_id, float(grace_s), lambda: place.read_text() == own))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
