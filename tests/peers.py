"""The peers of the executor in an installation under test, with the executor's identity."""

from services.executor.adapters.peers import LedgerPeer, RegistryPeer, ScratchPeer, SecretsPeer, WorldPeer
from services.executor.ports import Peers
from tests.embedded import Embedded
from theory.wire.identity import Role


def peers_of(theory: Embedded) -> Peers:
    """Clients of the four services; closed with the installation."""
    channel = theory.channel(Role.EXECUTOR)
    return Peers(
        ledger=LedgerPeer(channel),
        world=WorldPeer(channel),
        registry=RegistryPeer(channel),
        secrets=SecretsPeer(channel),
        scratch=ScratchPeer(channel),
    )
