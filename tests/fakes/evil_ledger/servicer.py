"""The wire face of a ledger that lies."""

import grpc

from services.ledger.access import ACCESS
from services.ledger.adapters.memory import MemoryLedger
from services.ledger.domain.budget import Accounts
from services.ledger.domain.chain import Chains
from services.ledger.domain.log import Log
from services.ledger.domain.prune import Pruner
from services.ledger.domain.receipts import Receipts
from services.ledger.domain.settle import Settlements
from services.ledger.domain.tail import Tails
from services.ledger.servicer import LedgerServicer
from tests.fakes.evil_ledger.lies import Lies
from theory.api.ledger.v1 import ledger_pb2, ledger_pb2_grpc, log_pb2
from theory.core.clock import SystemClock
from theory.wire.context import Context
from theory.wire.server import ServiceUnit


def unit_of(lies: Lies) -> ServiceUnit:
    """The ledger, to be served. What `lies` hold may be changed while it runs."""

    def register(server: grpc.aio.Server) -> None:
        ledger_pb2_grpc.add_LedgerServiceServicer_to_server(EvilLedger(lies), server)

    async def nothing() -> None:
        """There is nothing to begin or to end."""

    return ServiceUnit("ledger", ACCESS, register, close=nothing, ready=nothing)


class EvilLedger(LedgerServicer):
    """Answers each call as an honest ledger over what `lies` hold would, and spoils what it proves."""

    def __init__(self, lies: Lies) -> None:
        self._lies = lies

    def _honest(self) -> LedgerServicer:
        shown, logged, clock = MemoryLedger(self._lies.events), MemoryLedger(self._lies.log), SystemClock()
        return LedgerServicer(
            chains=Chains(shown, clock),
            tails=Tails(shown, clock),
            pruner=Pruner(shown, clock),
            accounts=Accounts(shown, clock),
            settlements=Settlements(shown, clock),
            receipts=Receipts(shown),
            log=Log(logged, self._lies.signer),
            kind="evil",
            durable=False,
        )

    async def ListEvents(
        self, request: ledger_pb2.ListEventsRequest, context: Context
    ) -> ledger_pb2.ListEventsResponse:
        return await self._honest().ListEvents(request, context)

    async def ListChains(
        self, request: ledger_pb2.ListChainsRequest, context: Context
    ) -> ledger_pb2.ListChainsResponse:
        return await self._honest().ListChains(request, context)

    async def ListReceipts(
        self, request: ledger_pb2.ListReceiptsRequest, context: Context
    ) -> ledger_pb2.ListReceiptsResponse:
        return await self._honest().ListReceipts(request, context)

    async def GetBudget(self, request: ledger_pb2.GetBudgetRequest, context: Context) -> ledger_pb2.GetBudgetResponse:
        return await self._honest().GetBudget(request, context)

    async def GetCheckpoint(
        self, request: log_pb2.GetCheckpointRequest, context: Context
    ) -> log_pb2.GetCheckpointResponse:
        found = await self._honest().GetCheckpoint(request, context)
        return log_pb2.GetCheckpointResponse(note=self._lies.note or found.note, log_key=found.log_key)

    async def ReadTiles(self, request: log_pb2.ReadTilesRequest, context: Context) -> log_pb2.ReadTilesResponse:
        found = await self._honest().ReadTiles(request, context)
        for result in found.results:
            result.hashes = self._lies.spoilt(result.hashes)
        return found

    async def ProveInclusion(
        self, request: log_pb2.ProveInclusionRequest, context: Context
    ) -> log_pb2.ProveInclusionResponse:
        found = await self._honest().ProveInclusion(request, context)
        for result in found.results:
            result.proof[:] = [self._lies.spoilt(each) for each in result.proof]
        return found

    async def ProveConsistency(
        self, request: log_pb2.ProveConsistencyRequest, context: Context
    ) -> log_pb2.ProveConsistencyResponse:
        found = await self._honest().ProveConsistency(request, context)
        found.proof[:] = [self._lies.spoilt(each) for each in found.proof]
        return found
