"""What runtimes are opened with."""

from dataclasses import dataclass
from pathlib import Path

from services.executor.adapters.places import MemoryPlaces
from theory.core.clock import Clock
from theory.core.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSettings:
    """One set for all runtimes; each takes what it needs."""

    home: Path
    """The executor's own directory: below it lie installation id, packages, staged processors."""

    clock: Clock

    memory: MemoryPlaces
    """The places of attempts that run nothing."""

    build_root: Path | None = None
    """Below which build contexts lie; None refuses to build."""

    base_image: str = "theory-base:bookworm"
    """What build contexts are built on."""

    base_python: str = "3.11"
    """The Python version in it, for which packages are chosen."""

    engine_url: str = ""
    """The container engine; empty asks what the engine's own client would ask."""

    container_runtime: str = ""
    """What the engine is to make containers with: `runsc`, or empty for its usual one."""

    place_promises: frozenset[str] = frozenset()
    """What the places of attempts keep by themselves: `output_quota`, `sealed_world`."""

    max_running: int = 4
    """How many attempts a runtime runs at once; the others wait for their turn."""

    modal_url: str = "modal:"
    """Where sandboxes run."""

    modal_secret: Secret | None = None
    """The token for it; None takes what Modal's own variables say."""

    grace_s: float = 10.0
    """How long a processor that was asked to stop may take before it is killed."""
