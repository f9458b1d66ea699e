"""The client of secrets: tags for everyone, values for the executor."""

from collections.abc import Sequence
from typing import TypeVar

import grpc

from theory.api.resources.v1 import secret_pb2
from theory.api.resources.v1.secret_pb2_grpc import SecretServiceStub
from theory.core.adapters import SecretReference
from theory.core.errors import Invalid, NotFound, TheoryError, shown
from theory.core.secret import Secret
from theory.sdk import sendable
from theory.sdk.rpc import answers, features_of, fitting
from theory.wire.channel import call

MAX_ITEMS = 100

_Found = TypeVar("_Found")


class SecretsClient:
    """`theory.core.adapters.SecretResolver` over the wire. Raises only `TheoryError`, or `TimeoutError`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = SecretServiceStub(channel)

    async def adapter(self) -> str:
        """Where the values lie, in a word such as `env`."""
        return (await call(self._stub.GetCapabilities, secret_pb2.SecretServiceGetCapabilitiesRequest())).adapter

    async def features(self) -> frozenset[str]:
        """What the source offers: `VALUES`, `REFERENCES`, `TAGS`."""
        found = await call(self._stub.GetCapabilities, secret_pb2.SecretServiceGetCapabilitiesRequest())
        return features_of(secret_pb2.SecretFeature.items(), found.features, "SECRET_FEATURE_")

    async def get(self, name: str) -> str:
        """One value, for the executor's identity; `NotFound` (`SECRET_UNKNOWN`) where the name has none."""
        return (await self.resolve([name]))[name].reveal()

    async def check(self, names: Sequence[str]) -> list[str | TheoryError]:
        """For each name a tag that changes when the value does; `NotFound` (`SECRET_UNKNOWN`) per item.

        An empty tag says that the source cannot tell: what used the secret must not be remembered.
        """
        return await sendable.ask(names, _name_fault, self._check_sound)

    async def resolve(self, names: Sequence[str]) -> dict[str, Secret]:
        """All the values, for the executor's identity.

        `NotFound` (`SECRET_UNKNOWN`) with every missing one in `names`, separated by commas, where any is missing;
        `Unsupported` (`CAPABILITY_MISSING`) where values cannot be read.
        """
        found = _all(names, await sendable.ask(names, _name_fault, self._resolve_sound))
        return {name: Secret(name, value) for name, value in found.items()}

    async def bind(self, names: Sequence[str]) -> dict[str, SecretReference]:
        """All the references, for the executor's identity; errors as `resolve`."""
        return _all(names, await sendable.ask(names, _name_fault, self._bind_sound))

    async def _check_sound(self, names: Sequence[str]) -> list[str | TheoryError]:
        tags: list[str | TheoryError] = []
        for batch in fitting(names, max_items=MAX_ITEMS):
            response = await call(self._stub.Check, secret_pb2.CheckRequest(names=batch))
            tags += answers(response.results, lambda result: result.tag)
        return tags

    async def _resolve_sound(self, names: Sequence[str]) -> list[str | TheoryError]:
        values: list[str | TheoryError] = []
        for batch in fitting(names, max_items=MAX_ITEMS):
            response = await call(self._stub.Resolve, secret_pb2.SecretServiceResolveRequest(names=batch))
            values += answers(response.results, lambda result: result.value)
        return values

    async def _bind_sound(self, names: Sequence[str]) -> list[SecretReference | TheoryError]:
        references: list[SecretReference | TheoryError] = []
        for batch in fitting(names, max_items=MAX_ITEMS):
            response = await call(self._stub.Bind, secret_pb2.BindRequest(names=batch))
            references += answers(response.results, lambda result: SecretReference(result.object, result.key))
        return references


def _all(names: Sequence[str], found: Sequence[_Found | TheoryError]) -> dict[str, _Found]:
    missing = [name for name, answer in zip(names, found, strict=True) if isinstance(answer, NotFound)]
    if missing:
        listed = ",".join(dict.fromkeys(missing))
        raise NotFound("SECRET_UNKNOWN", f"no value for the secrets {listed}", names=listed)
    answered: dict[str, _Found] = {}
    for name, answer in zip(names, found, strict=True):
        if isinstance(answer, TheoryError):
            raise answer
        answered[name] = answer
    return answered


def _name_fault(name: str) -> Invalid | None:
    if sendable.is_text(name):
        return None
    return Invalid("SECRET_NAME_INVALID", "the name of a secret is ASCII text", value=shown(name))
