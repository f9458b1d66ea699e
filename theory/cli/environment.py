"""The environment as the command line reads it: the only place of the library that does."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SERVICES = ("registry", "executor", "artifacts", "resources", "ledger")


@dataclass(frozen=True, slots=True)
class Environment:
    """What variables say. Nothing here is a secret."""

    home: Path
    """`THEORY_HOME`: the directory of an installation, with its socket and its key; `./.theory` where it is not set."""
    url: str | None
    """`THEORY_URL`: where all five services answer."""
    url_by_service: Mapping[str, str]
    """`THEORY_<SERVICE>_URL`: where one of them answers."""
    log_key: str | None
    """`THEORY_LOG_KEY`: the public key of the ledger that is to be believed."""
    docker_host: str | None
    """`DOCKER_HOST`: where a container engine answers."""
    cache: Path
    """`XDG_CACHE_HOME`: where a user's caches are; our own folder in it."""
    colour: bool
    """Whether colours are wanted on a terminal: not where `NO_COLOR` is set, or the terminal is dumb."""
    debug: bool
    """`THEORY_DEBUG`: show the stack of an error."""


def read(variables: Mapping[str, str] | None = None) -> Environment:
    """What the variables of this process say."""
    values = os.environ if variables is None else variables
    return Environment(
        home=Path(values.get("THEORY_HOME") or ".theory"),
        url=values.get("THEORY_URL") or None,
        url_by_service={
            service: url for service in SERVICES if (url := values.get(f"THEORY_{service.upper()}_URL") or "")
        },
        log_key=values.get("THEORY_LOG_KEY") or None,
        docker_host=values.get("DOCKER_HOST") or None,
        cache=_caches(values) / "theory" / "blobs",
        colour=not values.get("NO_COLOR") and values.get("TERM") != "dumb",
        debug=bool(values.get("THEORY_DEBUG")),
    )


def _caches(values: Mapping[str, str]) -> Path:
    named = Path(values.get("XDG_CACHE_HOME") or "")
    # The convention: what is not absolute is not meant.
    return named if named.is_absolute() else Path(values.get("HOME") or "/") / ".cache"


def for_child(**added: str) -> dict[str, str]:
    """The variables of a process that is started from here."""
    return {**os.environ, **added}
