"""Which role each RPC of the executor asks for."""

from collections.abc import Mapping

from theory.wire.identity import ANYONE, Scope

_SERVICE = "/theory.api.executor.v1.ExecutorService"

ACCESS: Mapping[str, Scope] = {
    f"{_SERVICE}/GetCapabilities": ANYONE,
    f"{_SERVICE}/SubmitPlan": ANYONE,
    f"{_SERVICE}/GetPlan": ANYONE,
    f"{_SERVICE}/ListPlans": ANYONE,
    f"{_SERVICE}/WatchPlan": ANYONE,
    f"{_SERVICE}/CancelPlan": ANYONE,
    f"{_SERVICE}/CancelExecution": ANYONE,
    f"{_SERVICE}/GetExecution": ANYONE,
    f"{_SERVICE}/WatchExecution": ANYONE,
    f"{_SERVICE}/StreamLogs": ANYONE,
    f"{_SERVICE}/ReplayExecution": ANYONE,
    f"{_SERVICE}/LookUpMemo": ANYONE,
    f"{_SERVICE}/ListExecutions": ANYONE,
}
