"""The one place that chooses where the ledger keeps its books and puts the rules around them."""

import asyncio
from collections.abc import Sequence

import grpc

from services.drivers.background import Background
from services.drivers.sql.owner import Located
from services.ledger.access import ACCESS
from services.ledger.adapters import open_store
from services.ledger.adapters.signer import FileSigner
from services.ledger.adapters.sql.schema import METADATA
from services.ledger.config import LedgerConfig
from services.ledger.domain.budget import Accounts
from services.ledger.domain.chain import Chains
from services.ledger.domain.log import Log
from services.ledger.domain.prune import Pruner
from services.ledger.domain.receipts import Receipts
from services.ledger.domain.settle import Settlements
from services.ledger.domain.tail import Tails
from services.ledger.servicer import LedgerServicer
from theory.api.ledger.v1 import ledger_pb2_grpc as rpc
from theory.core.clock import Clock, SystemClock
from theory.core.ids import IdSource
from theory.core.secret import Secret
from theory.wire.server import ServiceUnit


async def assemble(
    config: LedgerConfig,
    *,
    clock: Clock | None = None,
    ids: IdSource | None = None,  # noqa: ARG001 - every assembly takes one; the ledger's ids follow from what they name
) -> ServiceUnit:
    """The whole service, ready to be served; raises what opening its store raises."""
    clock = clock or SystemClock()
    signer = await asyncio.to_thread(FileSigner.load, config.home, config.log_name)
    store = await open_store(config.database_url, _secret(config))
    tails = Tails(store, clock)
    servicer = LedgerServicer(
        chains=Chains(store, clock),
        tails=tails,
        pruner=Pruner(store, clock),
        accounts=Accounts(store, clock),
        settlements=Settlements(store, clock),
        receipts=Receipts(store),
        log=Log(store, signer),
        kind=store.kind,
        durable=store.durable,
    )

    def register(server: grpc.aio.Server) -> None:
        rpc.add_LedgerServiceServicer_to_server(servicer, server)

    looking = Background("tails", tails.run)

    async def start() -> None:
        looking.start()

    async def close() -> None:
        await looking.close()
        await store.close()

    async def ready() -> None:
        await store.list_heads(after="", limit=1)

    return ServiceUnit("ledger", ACCESS, register, start=start, close=close, ready=ready)


def databases(config: LedgerConfig) -> Sequence[Located]:
    """Where its tables are."""
    return [Located(config.database_url, METADATA, _secret(config))]


def _secret(config: LedgerConfig) -> Secret | None:
    secret = config.database_secret
    return None if secret is None else Secret("THEORY_LEDGER_DATABASE_SECRET", secret.get_secret_value())
