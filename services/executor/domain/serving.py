"""What reaches an attempt while it runs: a socket in its place, on which it is itself and nobody else."""

from contextlib import AbstractAsyncContextManager

from services.executor.domain.tokens import Tokens, grant_of
from services.executor.ports import AttemptPlace, AttemptRecord, ExecutionRecord, PlanRecord, Sockets
from theory.core.spec import RegistrySnapshot


class Serving:
    """Serves attempts. One that never calls costs a socket: nothing is told to anybody, and nothing signed."""

    def __init__(self, sockets: Sockets, tokens: Tokens) -> None:
        self._sockets = sockets
        self._tokens = tokens

    def attempt(
        self,
        plan: PlanRecord,
        snapshot: RegistrySnapshot,
        record: ExecutionRecord,
        attempt: AttemptRecord,
        place: AttemptPlace,
    ) -> AbstractAsyncContextManager[None]:
        """Serve the attempt in its place within the block, whichever executor began it. As `Sockets.serving`."""
        about = grant_of(plan, snapshot, record, attempt).to_document()
        return self._sockets.serving(place, about, self._tokens.bearer(plan, snapshot, record, attempt))
