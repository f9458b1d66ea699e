"""What the executor's rules need from outside: its own state, the other services, and places to run processors."""

from services.executor.ports.judge import Judge
from services.executor.ports.peers import Ledger, Peers, Registry, Scratch, Secrets, World
from services.executor.ports.place import AttemptPlace, CollectedFile, PlaceRequest, Places, WrittenTree
from services.executor.ports.record import (
    AttemptRecord,
    ExecutionRecord,
    MemoEntry,
    PlanFileRecord,
    PlanRecord,
    Remembered,
    Replayed,
)
from services.executor.ports.runtime import Runtime
from services.executor.ports.socket import Bearer, Gate, Sockets
from services.executor.ports.state import ExecutorState
from services.executor.ports.token import AttemptToken, Signer

__all__ = [
    "AttemptPlace",
    "AttemptRecord",
    "AttemptToken",
    "Bearer",
    "CollectedFile",
    "ExecutionRecord",
    "ExecutorState",
    "Gate",
    "Judge",
    "Ledger",
    "MemoEntry",
    "Peers",
    "PlaceRequest",
    "Places",
    "PlanFileRecord",
    "PlanRecord",
    "Registry",
    "Remembered",
    "Replayed",
    "Runtime",
    "Scratch",
    "Secrets",
    "Signer",
    "Sockets",
    "World",
    "WrittenTree",
]
