"""The volumes of an attempt: made where they are missing, and mounted by a runtime that can."""

from collections.abc import Mapping

from services.executor.ports import ExecutionRecord, Runtime, Scratch
from theory.core.errors import Unsupported


async def located(scratch: Scratch, runtime: Runtime, record: ExecutionRecord) -> Mapping[str, str]:
    """What `runtime` mounts for each volume of `record`, by name.

    `Unsupported` (`CAPABILITY_MISSING`) where it cannot; `Exhausted` (`QUOTA_EXCEEDED`) where the plan has too many.
    """
    if not record.volumes or not runtime.needs_directory:
        return {}
    require_mountable(runtime, await scratch.volume_kind())
    return {name: await scratch.volume(record.plan_id, name) for name in record.volumes}


def require_mountable(runtime: Runtime, stored: str) -> None:
    """`Unsupported` (`CAPABILITY_MISSING`) where the runtime cannot mount volumes of this kind of store."""
    if stored not in runtime.volume_kinds:
        message = f"the runtime `{runtime.kind}` cannot mount the volumes of this installation, which are `{stored}`"
        raise Unsupported("CAPABILITY_MISSING", message, capability="volumes")
