"""What a look from inside says about the profile: which of its promises do not hold here."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from services.executor.adapters.runtimes.local.profile import OPEN_FILES, PROCESSES, user
from theory.core.spec import RuntimeSpec

Facts: TypeAlias = Mapping[str, str]

UNPROVEN = "proof"
"""Missing where nobody could look: the engine has no base image to look from."""

LOOKING = RuntimeSpec(cpu_milli=500, memory_mb=64, timeout_s=20, gpu=None, read_only_tool=False)
"""What the container that looks is given."""
FILE_BYTES = 1024 * 1024

_MIB = 1024 * 1024
_NO_CAPABILITY = "0" * 16
_TEMPORARY = frozenset({"tmpfs", "rw", "nosuid", "nodev", "noexec"})

_HOLDS: Mapping[str, Callable[[Facts], bool]] = {
    "user": lambda facts: facts["uid"] == user().partition(":")[0] != "0",
    "capabilities": lambda facts: facts["capabilities"].split() == [_NO_CAPABILITY] * 3,
    "no_new_privileges": lambda facts: facts["no_new_privileges"] == "1",
    "seccomp": lambda facts: facts["seccomp"] == "2" and not facts["open_doors"],
    "read_only_root": lambda facts: facts["read_only_root"] == "True",
    "no_network": lambda facts: facts["interfaces"] == "lo",
    "temporary_quota": lambda facts: _bounded(facts["temporary"].split()),
    "process_limit": lambda facts: facts["pids"] == str(PROCESSES),
    "memory_limit": lambda facts: facts["memory"] == str(LOOKING.memory_mb * _MIB),
    "cpu_limit": lambda facts: facts["cpu"].split()[0] not in {"-1", "max", "unknown"},
    "file_limits": lambda facts: (
        (facts["open_files"], facts["core_bytes"], facts["file_bytes"]) == (str(OPEN_FILES), "0", str(FILE_BYTES))
    ),
}
_NOT_SEEN_IN: Mapping[str, frozenset[str]] = {
    # Its kernel is a program outside: what limits that program is not visible from here.
    "gvisor": frozenset({"seccomp", "process_limit", "memory_limit", "cpu_limit", "no_new_privileges"})
}


def facts_of(printed: str) -> Facts:
    """What the program inside printed."""
    return dict(line.split("=", 1) for line in printed.splitlines() if "=" in line)


def missing_of(facts: Facts, kind: str) -> tuple[str, ...]:
    """The promises that do not hold, in order; one about which nothing was said does not hold."""
    seen = {name: holds for name, holds in _HOLDS.items() if name not in _NOT_SEEN_IN.get(kind, frozenset())}
    return tuple(sorted(name for name, holds in seen.items() if not _said(facts, holds)))


def _said(facts: Facts, holds: Callable[[Facts], bool]) -> bool:
    try:
        return holds(facts)
    except (KeyError, IndexError):
        return False


def _bounded(options: list[str]) -> bool:
    names = {option.partition("=")[0] for option in options}
    return names >= _TEMPORARY | {"size", "nr_inodes"}
