"""Whether what separates processors from their machine is as much as the operator demands."""

from services.executor.ports.runtime import Isolation, Runtime
from theory.core.errors import NotReady

_RANKS = {"none": 0, "namespaces": 1, "gvisor": 2}


async def admitted(runtime: Runtime, required: str) -> Isolation:
    """What was proved of `runtime`. An empty `required` demands nothing.

    `NotReady` (`ISOLATION_MISSING`) where it is a lesser kind, or something of its kind is missing; a runtime that runs
    nothing has nothing to separate. `NotReady` (`ENGINE_DOWN`).
    """
    proved = await runtime.proved()
    if not required or not runtime.needs_directory:
        return proved
    if _RANKS[proved.kind] < _RANKS[required] or proved.missing:
        message = f"processors must run with the isolation `{required}`; the runtime `{runtime.kind}` has {proved.text}"
        raise NotReady(
            "ISOLATION_MISSING",
            message,
            runtime=runtime.kind,
            required=required,
            found=proved.kind,
            missing=" ".join(proved.missing),
        )
    return proved
