"""The wire face of the ledger: decode, call, encode."""

from collections.abc import AsyncIterator
from typing import cast

from services.ledger import codec
from services.ledger.domain.budget import Accounts
from services.ledger.domain.chain import Chains
from services.ledger.domain.log import Log
from services.ledger.domain.prune import Pruner
from services.ledger.domain.receipts import Receipts
from services.ledger.domain.settle import Settlements
from services.ledger.domain.tail import Tails
from theory.api.ledger.v1 import ledger_pb2 as pb
from theory.api.ledger.v1 import ledger_pb2_grpc as rpc
from theory.api.ledger.v1 import log_pb2
from theory.core.chain import MAX_BODY_BYTES
from theory.core.ids import ExecutionId, PlanId, RequestId
from theory.core.money import usd_micro
from theory.wire.batches import batch
from theory.wire.context import Context, current_principal
from theory.wire.pages import Page


class LedgerServicer(rpc.LedgerServiceServicer):
    """Serves every chain, account and receipt."""

    def __init__(  # noqa: PLR0913 - each is a part of the rules
        self,
        *,
        chains: Chains,
        tails: Tails,
        pruner: Pruner,
        accounts: Accounts,
        settlements: Settlements,
        receipts: Receipts,
        log: Log,
        kind: str,
        durable: bool,
    ) -> None:
        self._chains = chains
        self._tails = tails
        self._pruner = pruner
        self._accounts = accounts
        self._settlements = settlements
        self._receipts = receipts
        self._log = log
        self._capabilities = pb.GetCapabilitiesResponse(
            adapter=kind, durable=durable, max_body_bytes=MAX_BODY_BYTES, max_append_items=codec.MAX_APPEND_ITEMS
        )

    async def GetCapabilities(self, request: pb.GetCapabilitiesRequest, context: Context) -> pb.GetCapabilitiesResponse:
        return self._capabilities

    async def AppendEvents(self, request: pb.AppendEventsRequest, context: Context) -> pb.AppendEventsResponse:
        items = codec.appends_from_proto(request)
        return codec.appended_to_proto(await self._chains.append(items, role=current_principal().role))

    async def ListEvents(self, request: pb.ListEventsRequest, context: Context) -> pb.ListEventsResponse:
        page = Page.of(request)
        plan_id = codec.chain_from_proto(request.plan_id)
        after = request.after_seq if page.after is None else cast("int", page.after)
        events, head, more = await self._chains.list_events(
            plan_id, after_seq=after, chosen=codec.filter_from_proto(request), limit=page.size
        )
        return pb.ListEventsResponse(
            events=map(codec.event_to_proto, events),
            head=codec.head_to_proto(head),
            next_page_token=page.token_after(events[-1].seq) if more else "",
        )

    async def TailEvents(self, request: pb.TailEventsRequest, context: Context) -> AsyncIterator[pb.TailEventsResponse]:
        plan_id, chosen = codec.chain_from_proto(request.plan_id), codec.filter_from_proto(request)
        async for told in self._tails.follow(plan_id, after_seq=request.after_seq, chosen=chosen):
            yield codec.told_to_proto(told)

    async def PruneEvents(self, request: pb.PruneEventsRequest, context: Context) -> pb.PruneEventsResponse:
        found = await self._pruner.prune(
            codec.chain_from_proto(request.plan_id),
            after_seq=request.after_seq,
            to_seq=request.to_seq,
            kinds=request.kinds,
            dry_run=request.dry_run,
        )
        return pb.PruneEventsResponse(
            event_count=found.events, freed_bytes=found.freed_bytes, after_seq=found.after_seq, more=found.more
        )

    async def ListChains(self, request: pb.ListChainsRequest, context: Context) -> pb.ListChainsResponse:
        page = Page.of(request)
        heads, more = await self._chains.list_heads(after=cast("str", page.after or ""), limit=page.size)
        return pb.ListChainsResponse(
            heads=map(codec.head_to_proto, heads),
            next_page_token=page.token_after(heads[-1].plan_id) if more else "",
        )

    async def OpenBudget(self, request: pb.OpenBudgetRequest, context: Context) -> pb.OpenBudgetResponse:
        plan_id = PlanId.parse(request.plan_id)
        budget = await self._accounts.open(plan_id, usd_micro(request.cap_usd_micro, "cap_usd_micro"))
        return pb.OpenBudgetResponse(budget=codec.budget_to_proto(budget))

    async def GetBudget(self, request: pb.GetBudgetRequest, context: Context) -> pb.GetBudgetResponse:
        budget = await self._accounts.get(PlanId.parse(request.plan_id))
        return pb.GetBudgetResponse(budget=codec.budget_to_proto(budget))

    async def TopUpBudget(self, request: pb.TopUpBudgetRequest, context: Context) -> pb.TopUpBudgetResponse:
        request_id = RequestId.parse(request.request_id)
        amount = usd_micro(request.usd_micro, "usd_micro")
        budget = await self._accounts.top_up(PlanId.parse(request.plan_id), amount, request_id)
        return pb.TopUpBudgetResponse(budget=codec.budget_to_proto(budget))

    async def Claim(self, request: pb.ClaimRequest, context: Context) -> pb.ClaimResponse:
        return codec.claimed_to_proto(await self._settlements.claim(codec.claims_from_proto(request)))

    async def Settle(self, request: pb.SettleRequest, context: Context) -> pb.SettleResponse:
        return codec.settled_to_proto(await self._settlements.settle(codec.settlements_from_proto(request)))

    async def Resolve(self, request: pb.ResolveRequest, context: Context) -> pb.ResolveResponse:
        receipt = await self._settlements.resolve(ExecutionId.parse(request.execution_id), request.epoch)
        return pb.ResolveResponse(receipt=receipt and codec.receipt_to_proto(receipt), fenced=receipt is None)

    async def GetReceipts(self, request: pb.GetReceiptsRequest, context: Context) -> pb.GetReceiptsResponse:
        receipt_ids = batch(request.receipt_ids, codec.MAX_RECEIPT_IDS)
        return codec.receipts_to_proto(await self._receipts.get(receipt_ids))

    async def ListReceipts(self, request: pb.ListReceiptsRequest, context: Context) -> pb.ListReceiptsResponse:
        page = Page.of(request)
        plan_id = PlanId.parse(request.plan_id)
        after = cast("int", page.after or 0)
        receipts, more = await self._receipts.list_of_plan(plan_id, after_position=after, limit=page.size)
        return pb.ListReceiptsResponse(
            receipts=map(codec.receipt_to_proto, receipts),
            next_page_token=page.token_after(receipts[-1].position) if more else "",
        )

    async def GetCheckpoint(
        self, request: log_pb2.GetCheckpointRequest, context: Context
    ) -> log_pb2.GetCheckpointResponse:
        return log_pb2.GetCheckpointResponse(note=await self._log.checkpoint(), log_key=self._log.key)

    async def ReadTiles(self, request: log_pb2.ReadTilesRequest, context: Context) -> log_pb2.ReadTilesResponse:
        keys = codec.tiles_from_proto(request)
        return codec.tiles_to_proto(await self._log.tiles(keys))

    async def ProveInclusion(
        self, request: log_pb2.ProveInclusionRequest, context: Context
    ) -> log_pb2.ProveInclusionResponse:
        indexes = batch(request.log_indexes, codec.MAX_PROOFS)
        return codec.proofs_to_proto(await self._log.prove_inclusion(indexes, request.size))

    async def SignReceipts(
        self, request: log_pb2.SignReceiptsRequest, context: Context
    ) -> log_pb2.SignReceiptsResponse:
        receipt_ids = batch(request.receipt_ids, codec.MAX_RECEIPT_IDS)
        return codec.signatures_to_proto(await self._log.sign_receipts(receipt_ids))

    async def ProveConsistency(
        self, request: log_pb2.ProveConsistencyRequest, context: Context
    ) -> log_pb2.ProveConsistencyResponse:
        proof = await self._log.prove_consistency(request.old_size, request.new_size)
        return log_pb2.ProveConsistencyResponse(proof=proof)
