"""What has been removed and not yet deleted: a folder of it, and a thread that empties it."""

import fcntl
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from theory.world.removal import remove_tree

_log = logging.getLogger(__name__)
_LAST_S = 5.0


class Trash:
    """Takes directories at once, deletes them in its own time, and what an earlier process left there too.

    Of several processes over one folder one deletes at a time. What cannot be deleted stays, is told of once, and is
    tried again with whatever comes next. The process never waits for the thread when it exits.
    """

    def __init__(self, folder: Path, lock: Path) -> None:
        self._folder = folder
        self._lock = lock
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wanted = False
        self._closed = False
        self._stuck: set[str] = set()

    def take(self, directory: Path, name: str) -> None:
        """Move the directory here under a name that nothing else ever has: from now on it is gone where it was."""
        directory.rename(self._folder / name)
        self.empty_soon()

    def empty_soon(self) -> None:
        """Delete what lies here, beside the caller."""
        with self._guard:
            self._wanted = not self._closed
            if self._wanted and self._thread is None:
                self._thread = threading.Thread(target=self._work, name="volumes-trash", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Begin nothing more; wait a little for what is being deleted."""
        with self._guard:
            self._closed = True
            self._wanted = False
            thread = self._thread
        if thread is not None:
            thread.join(_LAST_S)

    def _work(self) -> None:
        while self._next():
            try:
                self._empty()
            except OSError as error:
                _log.warning("volumes.trash_unreadable", extra={"theory_fields": {"error": error.strerror}})

    def _next(self) -> bool:
        with self._guard:
            if not self._wanted:
                self._thread = None
                return False
            self._wanted = False
            return True

    def _empty(self) -> None:
        with locked(self._lock):
            for each in list(self._folder.iterdir()):
                if self._closed:
                    return
                try:
                    remove_tree(each)
                except OSError as error:
                    self._note_stuck(each.name, error)

    def _note_stuck(self, name: str, error: OSError) -> None:
        if name not in self._stuck:
            self._stuck.add(name)
            facts = {"volume": name, "error": error.strerror}
            _log.warning("volumes.removal_stuck", extra={"theory_fields": facts})


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Alone among all threads and processes that ask for the same file."""
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
