"""The one client of an installation: the five services behind one object, and the connections they share."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Self

import grpc

from theory.core.checkpoint import LogKey
from theory.core.clock import Clock, SystemClock
from theory.core.ids import IdSource, SystemIds
from theory.sdk.artifacts import ArtifactsClient
from theory.sdk.executor import ExecutorClient
from theory.sdk.kv import KVClient
from theory.sdk.ledger import LedgerClient
from theory.sdk.log import CheckpointMemory, LogClient
from theory.sdk.queue import QueueClient
from theory.sdk.registry import RegistryClient
from theory.sdk.retention import RetentionClient
from theory.sdk.secrets import SecretsClient
from theory.sdk.streams import StreamsClient
from theory.sdk.volumes import VolumesClient
from theory.sdk.worlds import WorldsClient
from theory.wire.channel import connect
from theory.wire.home import socket_url

HOME = Path(".theory")
"""Where an installation is whose place nobody named."""
EMBEDDED = "theory"
"""What the socket of all five services is called."""


class Theory:
    """The services of one installation.

    ::

        async with Theory.connect() as theory:
            plan = await theory.executor.get_plan(plan_id)

    Connections are opened when they are first used, one per address. To be used within one event loop. Everything
    raises classes of `theory.core.errors`, or `TimeoutError`.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        url_by_service: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        ids: IdSource | None = None,
    ) -> None:
        self.url = url
        """Where services answer that have no address of their own."""
        self._token = token
        self._url_by_service = dict(url_by_service or {})
        self._clock = clock or SystemClock()
        self._ids = ids or SystemIds()
        self._channels: dict[str, grpc.aio.Channel] = {}

    @classmethod
    def connect(
        cls,
        url: str | None = None,
        *,
        token: str | None = None,
        url_by_service: Mapping[str, str] | None = None,
    ) -> Self:
        """The client of the installation at `url`: `unix:///path`, or `grpc://host:port` with a `token`.

        Without `url` it is the socket in `./.theory`, where `theory up` listens. `url_by_service` names services that
        answer elsewhere: `registry`, `executor`, `artifacts`, `resources`, `ledger`. Nothing is read from the
        environment. `Invalid` (`URL_INVALID`) where an address is first used.
        """
        return cls(url or socket_url(HOME, EMBEDDED), token=token, url_by_service=url_by_service)

    @cached_property
    def registry(self) -> RegistryClient:
        """Specs and snapshots."""
        return RegistryClient(self.channel("registry"))

    @cached_property
    def executor(self) -> ExecutorClient:
        """Plans and their executions."""
        return ExecutorClient(self.channel("executor"), clock=self._clock, ids=self._ids)

    @cached_property
    def artifacts(self) -> ArtifactsClient:
        """Bytes by content, and the paths of worlds."""
        return ArtifactsClient(self.channel("artifacts"))

    @cached_property
    def worlds(self) -> WorldsClient:
        """Worlds as a whole: as they are, as they were, and laid out on this machine."""
        return WorldsClient(self.artifacts, self.ledger)

    @cached_property
    def streams(self) -> StreamsClient:
        """Live series of worlds."""
        return StreamsClient(self.channel("artifacts"))

    @cached_property
    def retention(self) -> RetentionClient:
        """What leaves the artifact store: garbage, worlds, damaged bytes."""
        return RetentionClient(self.channel("artifacts"))

    @cached_property
    def kv(self) -> KVClient:
        """Keys of plans."""
        return KVClient(self.channel("resources"))

    @cached_property
    def queue(self) -> QueueClient:
        """Topics of plans."""
        return QueueClient(self.channel("resources"))

    @cached_property
    def volumes(self) -> VolumesClient:
        """Scratch directories of plans."""
        return VolumesClient(self.channel("resources"))

    @cached_property
    def secrets(self) -> SecretsClient:
        """Which secrets have values."""
        return SecretsClient(self.channel("resources"))

    @cached_property
    def ledger(self) -> LedgerClient:
        """Events, budgets and receipts."""
        return LedgerClient(self.channel("ledger"))

    def log(self, key: LogKey, memory: CheckpointMemory | None = None) -> LogClient:
        """The ledger's Merkle tree, which is believed as far as `key` has signed it."""
        return LogClient(self.channel("ledger"), key, memory)

    def url_of(self, service: str) -> str:
        """Where `service` answers."""
        return self._url_by_service.get(service, self.url)

    def channel(self, service: str) -> grpc.aio.Channel:
        """The connection to `service`, for generated stubs; closed with this object."""
        url = self.url_of(service)
        if url not in self._channels:
            self._channels[url] = connect(url, token=self._token, ids=self._ids)
        return self._channels[url]

    async def close(self) -> None:
        """End every connection; calls that are under way are cancelled."""
        while self._channels:
            _, channel = self._channels.popitem()
            await channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
