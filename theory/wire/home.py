"""Where the sockets of an installation are: beside its state, or in a private folder where that path is too long."""

import os
import tempfile
from pathlib import Path
from urllib.parse import quote

from blake3 import blake3

from theory.core.errors import Denied

LONGEST_SOCKET_PATH = 100
"""In bytes; the kernel's limit less the name of a lock beside it."""


def socket_url(home: Path, name: str) -> str:
    """The address `name` of the installation in `home`: the same for every process that asks.

    `Denied` (`FILE_NOT_PRIVATE`) where someone else holds the folder that would be used for a long path.
    """
    path = home.absolute() / f"{name}.sock"
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        digest = blake3(os.fsencode(home.absolute())).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"theory-{os.getuid()}-{digest}"
        if folder.exists() and folder.stat().st_uid != os.getuid():
            raise Denied("FILE_NOT_PRIVATE", "the folder for sockets belongs to someone else", path=str(folder))
        path = folder / f"{name}.sock"
    return f"unix://{quote(str(path))}"
