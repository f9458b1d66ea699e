"""Secrets in AWS Secrets Manager, read anew at each call."""

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from services.drivers import aws
from services.drivers.opening import Opening
from services.resources.secrets.ports import SecretSource
from theory.core.errors import Invalid, Unavailable
from theory.core.secret import Secret

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

_THREADS = 4
_BATCH = 20
_ABSENT = frozenset({"InvalidRequestException", "ResourceNotFoundException"})
"""The first is said of a secret that is to be deleted."""

_is_prefix = re.compile(r"[A-Za-z0-9/_+=.@-]{0,256}").fullmatch


async def open(url: str, opening: Opening) -> SecretSource:
    """`aws-secrets://region?endpoint=URL&prefix=theory/`: the secret NAME has the name `theory/NAME` there."""
    address = aws.Address.parse(url, "prefix")
    prefix = address.options.get("prefix", "")
    if not _is_prefix(prefix):
        raise Invalid("URL_INVALID", "a prefix has letters, digits and /_+=.@-, at most 256", url=url)
    client = await opening.share(
        f"secretsmanager {url}",
        lambda: aws.open_secrets_manager(address, threads=_THREADS, probed=f"{prefix}THEORY_READY"),
    )
    return SecretSource("aws", reader=SecretsManagerReader(client, prefix))


class SecretsManagerReader:
    """The current version of each, whole, whatever form it has. A secret that is no text has no value."""

    def __init__(self, client: "aws.Client[SecretsManagerClient]", prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    async def read(self, names: Sequence[str]) -> Mapping[str, Secret]:
        found = await asyncio.gather(*(self._batch(batch) for batch in _batches(list(dict.fromkeys(names)))))
        return {name: secret for secrets in found for name, secret in secrets.items()}

    async def _batch(self, names: Sequence[str]) -> Mapping[str, Secret]:
        secrets: dict[str, Secret] = {}
        ids = [self._prefix + name for name in names]
        ask = self._client.raw.batch_get_secret_value
        page = await self._client.call(ask, SecretIdList=ids)
        while True:
            for error in page.get("Errors", []):
                if (code := error.get("ErrorCode", "")) not in _ABSENT:
                    raise aws.fault(code) or Unavailable("STORE_UNREACHABLE", "the store does not give a secret")
            for each in page["SecretValues"]:
                name, value = each.get("Name", "").removeprefix(self._prefix), each.get("SecretString")
                if value:
                    secrets[name] = Secret(name, value)
            if not (token := page.get("NextToken")):
                return secrets
            page = await self._client.call(ask, SecretIdList=ids, NextToken=token)


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(names), _BATCH):
        yield names[begin : begin + _BATCH]
