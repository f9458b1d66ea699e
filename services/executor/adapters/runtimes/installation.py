"""What tells the containers and processes of this executor from those of another on the same machine."""

import secrets
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

_FILE = "installation"


def installation_id(home: Path) -> str:
    """A text that is the same as long as the executor's home is. Made with the first call."""
    path = home / _FILE
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        # Several runtimes may ask at once: the first whole text stays.
        with NamedTemporaryFile("w", dir=home) as draft, suppress(FileExistsError):
            draft.write(secrets.token_bytes(8).hex())
            draft.flush()
            path.hardlink_to(draft.name)
    return path.read_text()
