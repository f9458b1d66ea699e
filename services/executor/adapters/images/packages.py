"""The pinned packages of processors, each set fetched once per platform and Python version."""

import asyncio
import os
import re
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from services.executor.adapters.flight import Flights
from services.executor.adapters.images.fault import unavailable
from services.executor.adapters.places.faults import translated
from services.executor.adapters.threads import Threads
from theory.core import jcs
from theory.core.cid import Cid
from theory.world.removal import remove_tree

_INSTALL_S = 900
_TOLD_LINES = 12
_DRAFT = ".new-"

# How it finds an index and a place for its files. All else is not meant for it: where secrets are variables of this
# process, any variable may be one.
_is_meant_for_installer = re.compile(
    r"(UV|XDG|SSL|LC)_\w+|PYTHON\w*|\w+_(proxy|PROXY)|HOME|LANG|LD_LIBRARY_PATH|NETRC|PATH|TMPDIR|USER"
).fullmatch


@dataclass(frozen=True, slots=True)
class Target:
    """For which interpreter packages are chosen."""

    python: str
    """A version such as `3.11`, or the path of an interpreter on this machine."""

    platform: str | None
    """A platform tag such as `x86_64-manylinux_2_28`; None for this machine."""

    def options(self) -> list[str]:
        """What the installer is told."""
        if self.platform is None:
            return ["--python", self.python]
        return ["--python-version", self.python, "--python-platform", self.platform]


class PackageSets:
    """Folders of packages below one directory, named by what they were made from."""

    def __init__(self, home: Path, threads: Threads) -> None:
        self._home = home
        self._threads = threads
        self._flights: Flights[Path] = Flights()

    async def folder(self, ref: str, requirements: bytes, target: Target) -> Path:
        """The folder with exactly these packages; only wheels, only those whose hashes the requirements name.

        `NotReady` (`IMAGE_UNAVAILABLE`) with the installer's last words.
        """
        key = Cid.of(jcs.canonical([Cid.of(requirements).text, *target.options()])).hex
        place = self._home / key
        if await self._threads.run(place.is_dir):
            return place
        return await self._flights.join(key, lambda: self._install(ref, requirements, target, place))

    def sweep(self) -> None:
        """Remove what a killed executor left half installed; before the first use."""
        for each in self._home.glob(f"{_DRAFT}*"):
            remove_tree(each)

    async def close(self) -> None:
        """End installations under way."""
        await self._flights.close()

    async def _install(self, ref: str, requirements: bytes, target: Target, place: Path) -> Path:
        with translated():
            self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
            with TemporaryDirectory(prefix=_DRAFT, dir=self._home, ignore_cleanup_errors=True) as name:
                work = Path(name)
                (work / "site").mkdir()
                (work / "requirements.txt").write_bytes(requirements)
                code, told = await _run(_command(target), cwd=work)
                if code:
                    raise unavailable(ref, f"its packages cannot be installed: {' '.join(told)}")
                (work / "site").rename(place)
        return place


def _command(target: Target) -> list[str]:
    """What installs `requirements.txt` into `site`. It speaks of them as it was given them, so without the home."""
    return [
        *(sys.executable, "-m", "uv", "pip", "install", "--target", "site", *target.options()),
        # Wheels alone, by hash alone: nothing of a package runs here, and nobody can swap one.
        *("--require-hashes", "--only-binary", ":all:", "--quiet", "--color", "never", "--link-mode", "copy"),
        *("--requirements", "requirements.txt"),
    ]


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if _is_meant_for_installer(name)}  # noqa: TID251 - passed on


async def _run(command: Sequence[str], *, cwd: Path) -> tuple[int, list[str]]:
    """Exit code and last lines of a program; it is killed when it takes too long or the caller is cancelled."""
    program = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env=_environment(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told: deque[str] = deque(maxlen=_TOLD_LINES)
    try:
        async with asyncio.timeout(_INSTALL_S):
            output = program.stdout
            while output is not None and (line := await output.readline()):
                told.append(line.decode(errors="replace").strip())
            return await program.wait(), [line for line in told if line]
    except TimeoutError:
        return 1, [f"not done within {_INSTALL_S} s"]
    finally:
        if program.returncode is None:
            with suppress(ProcessLookupError):
                program.kill()
            await program.wait()
