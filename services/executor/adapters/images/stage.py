"""Laying a build context out on the disk, with its packages and the SDK beside it."""

import os
import shutil
import subprocess
from pathlib import Path

from services.executor.adapters.images.context import SITE, BuildContext

_EXECUTABLE, _PLAIN = 0o755, 0o644


def stage(context: BuildContext, packages: Path | None, into: Path) -> None:
    """Fill the empty directory `into`. The same files get the same modes and times everywhere. `OSError`."""
    site = into / SITE
    site.mkdir()
    if packages is not None:
        shutil.copytree(packages, site, dirs_exist_ok=True, copy_function=shutil.copyfile)
    # The SDK comes after the packages: a package of the same name would shadow what runs the processor.
    for each in context.files:
        path = into / each.relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(each.data)
        path.chmod(_EXECUTABLE if each.executable else _PLAIN)
    for folder, _, names in os.walk(into, topdown=False):
        for name in (*names, ""):
            os.utime(Path(folder, name), ns=(0, 0))


def compile_site(python: Path, staged: Path) -> None:
    """Compile the site folder once, so that no attempt does: an import of many modules gets twice as fast.

    What does not compile is left as it is. The files depend on content alone, not on times.
    """
    command = [str(python), "-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(staged / SITE)]
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
