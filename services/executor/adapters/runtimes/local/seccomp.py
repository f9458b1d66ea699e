"""The system calls of a processor: an allow-list of our own, the same on every engine."""

from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_name("seccomp.json")


@cache
def seccomp_option() -> str:
    """The engine's security option; its client sends the profile itself, not where it lies.

    What the list does not name is refused with EPERM, and a call of another architecture (32-bit programs) kills its
    caller. An engine that cannot apply it refuses to make the container.
    """
    return f"seccomp={_FILE.read_text(encoding='utf-8')}"
