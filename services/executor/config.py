"""What the executor is told from outside."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, SecretStr

from services.settings import ServiceSettings, Url, address, beside


class ExecutorConfig(ServiceSettings):
    """Frozen once loaded."""

    service: ClassVar[str] = "executor"

    url: Url = address("executor")
    """Where it listens."""

    database_url: Url = beside("executor.db")
    """Where plans, executions and the memo index are kept: `sqlite:///path`, `memory:`, or
    `postgresql://user@host/database`, which several executors may share."""

    database_secret: SecretStr | None = None
    """The password of that database."""

    lease_s: float = Field(15, ge=1, le=3600)
    """How long, in seconds, an executor that shares its database holds a plan after it was last heard of: until then no
    other one takes it."""

    registry_url: Url = address("registry")
    artifacts_url: Url = address("artifacts")
    resources_url: Url = address("resources")
    ledger_url: Url = address("ledger")
    """Where the other services answer."""

    runtimes: str = "local mock"
    """The runtime adapters that are served, separated by spaces. `process` runs trusted code without isolation."""

    default_runtime: str = "local"
    """The runtime of plans that name none; one of `runtimes`."""

    max_in_flight: int = Field(32, ge=1, le=10_000)
    """How many executions are carried out at once."""

    max_containers: int = Field(4, ge=1, le=1_000)
    """How many of them may be containers or child processes."""

    build_root: Path | None = None
    """Below which `image.build.context` lies; None refuses every local build."""

    base_image: str = "theory-base:bookworm"
    """The build argument BASE of local builds."""

    base_python: str = "3.11"
    """The Python version of that image, for which packages are staged."""

    engine_url: Url = ""
    """The container engine; empty asks the engine's own environment."""

    container_runtime: Literal["", "runsc"] = ""
    """What the engine makes containers with: `runsc` is gVisor, where the engine has it; unset is its usual one."""

    required_isolation: Literal["", "namespaces", "gvisor"] = ""
    """What must separate processors from this machine, with nothing of it missing: plans of a runtime that keeps less
    are refused. `gvisor` is more than `namespaces`; unset takes what there is, and receipts say what that was."""
    modal_url: Url = "modal:"
    """Where the runtime `modal` runs sandboxes: `modal://environment?app=NAME&object=NAME`, their app and the Secret
    that holds their secrets, `theory` both."""

    modal_secret: SecretStr | None = None
    """`TOKEN_ID:TOKEN_SECRET` for it; unset takes `MODAL_TOKEN_ID` and `MODAL_TOKEN_SECRET`."""

    mounts: bool | None = None
    """Whether worlds and outputs are mounts of their own (read-only, with quotas); unset finds out what is permitted.
    An executor that runs in a container says false, unless the engine sees its mounts."""

    cache_bytes: int = Field(10 * 1024 * 1024 * 1024, ge=1)
    """How many bytes of inputs are kept for later attempts."""

    max_output_bytes: int = Field(1024 * 1024 * 1024, ge=1)
    """How much one attempt may write."""

    max_output_files: int = Field(10_000, ge=1, le=10_000)
    """How many files one attempt may write."""

    tenant: str = "local"
    """Results are used again within one tenant only."""

    region: str = "local"
    """Stands in every fingerprint."""
