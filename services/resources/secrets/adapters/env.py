"""Secrets that are variables of this process. Beside the settings, the one place that reads the environment."""

import os
import re
from collections.abc import Mapping, Sequence

from services.drivers.opening import Opening
from services.resources.secrets.ports import SecretSource
from theory.core.errors import Invalid
from theory.core.secret import Secret

_OWN = "THEORY_"
_SURROGATE = re.compile(r"[\ud800-\udfff]").search
_is_prefix = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)?").fullmatch


async def open(url: str, opening: Opening) -> SecretSource:
    """`env:` for every variable but our own settings; `env:PREFIX_` for those that begin so, without the prefix."""
    prefix = url.removeprefix("env:")
    if not _is_prefix(prefix):
        raise Invalid("URL_INVALID", "write env: or env:PREFIX_ with letters, digits and '_'", url=url)
    return SecretSource("env", EnvSecrets(prefix))


class EnvSecrets:
    """A variable with a value that is no text (bytes that are not UTF-8) has none."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    async def read(self, names: Sequence[str]) -> Mapping[str, Secret]:
        found = {}
        for name in names:
            value = os.environ.get(self._prefix + name, "")
            ours = not self._prefix and name.startswith(_OWN)  # settings, some of them secret, but not for plans
            if value and not ours and not _SURROGATE(value):
                found[name] = Secret(name, value)
        return found
