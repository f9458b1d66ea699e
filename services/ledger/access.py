"""Which role each RPC of the ledger asks for. Which kinds a service may emit is a rule of the chains."""

from collections.abc import Mapping

from theory.wire.identity import ANYONE, SERVICES, Role, Scope, only

_SERVICE = "/theory.api.ledger.v1.LedgerService"

ACCESS: Mapping[str, Scope] = {
    f"{_SERVICE}/GetCapabilities": ANYONE,
    f"{_SERVICE}/AppendEvents": SERVICES,
    f"{_SERVICE}/ListEvents": ANYONE,
    f"{_SERVICE}/TailEvents": ANYONE,
    f"{_SERVICE}/PruneEvents": only(Role.CLIENT),
    f"{_SERVICE}/ListChains": ANYONE,
    f"{_SERVICE}/OpenBudget": only(Role.EXECUTOR),
    f"{_SERVICE}/GetBudget": ANYONE,
    f"{_SERVICE}/TopUpBudget": only(Role.CLIENT, Role.EXECUTOR),
    f"{_SERVICE}/Claim": only(Role.EXECUTOR),
    f"{_SERVICE}/Settle": only(Role.EXECUTOR),
    f"{_SERVICE}/Resolve": only(Role.ARTIFACTS, Role.EXECUTOR),
    f"{_SERVICE}/GetReceipts": ANYONE,
    f"{_SERVICE}/ListReceipts": ANYONE,
    f"{_SERVICE}/GetCheckpoint": ANYONE,
    f"{_SERVICE}/ReadTiles": ANYONE,
    f"{_SERVICE}/ProveInclusion": ANYONE,
    f"{_SERVICE}/ProveConsistency": ANYONE,
    f"{_SERVICE}/SignReceipts": ANYONE,
}
