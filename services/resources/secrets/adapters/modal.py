"""Secrets in a Secret of Modal: its containers get them by reference; nobody reads a value, and none has a version."""

import re
from collections.abc import Mapping, Sequence

from services.drivers import modal as driver
from services.drivers.modal import Absent, Connection, Refused
from services.drivers.modal_objects import together
from services.drivers.opening import Opening
from services.resources.secrets.ports import SecretSource
from theory.core.adapters import SecretReference
from theory.core.errors import Invalid

_DEFAULT = "theory"

_is_object = re.compile(r"[A-Za-z0-9_.-]{1,64}").fullmatch


async def open(url: str, opening: Opening) -> SecretSource:
    """`modal://environment?object=NAME`: the secret A is the key A of the Secret NAME there (`theory`)."""
    address = driver.Address.parse(url, "object")
    name = address.options.get("object", _DEFAULT)
    if not _is_object(name):
        raise Invalid("URL_INVALID", "an object has 1 to 64 letters, digits, '.', '_' and '-'", url=url)
    connection = await opening.share(f"modal {url}", lambda: driver.connect(address, opening.secret))
    return SecretSource("modal", binder=ModalSecrets(connection, name))


class ModalSecrets:
    """Which keys there are it learns by asking for them: Modal says whether all are there that were asked for."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._name = name

    async def bind(self, names: Sequence[str]) -> Mapping[str, SecretReference]:
        unique = list(dict.fromkeys(names))
        if await self._has(unique):
            there = unique
        elif len(unique) == 1 or not await self._has([]):
            there = []
        else:
            each = await together(self._has([name]) for name in unique)
            there = [name for name, found in zip(unique, each, strict=True) if found]
        return {name: SecretReference(self._name, name) for name in there}

    async def _has(self, keys: list[str]) -> bool:
        secret = self._connection.sdk.Secret.from_name(
            self._name,
            environment_name=self._connection.environment,
            required_keys=keys,
            client=self._connection.client,
        )
        try:
            await self._connection.call(secret.hydrate.aio)
        except (Absent, Refused):
            return False
        return True
