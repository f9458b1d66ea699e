"""Requests that are done once: what each one was answered, for a week after the last look, beyond the end of its plan.

    b:<plan, request>   that it has begun: what it asks for, since when, and what its writes are known by
    a:<plan, request>   what was answered

Between the two entries a crash leaves it in doubt; then whoever repeats it finds the writes by what they are known by.
"""

from dataclasses import dataclass
from hashlib import blake2s
from struct import Struct

from services.drivers.modal import Connection, foreign, hash_of
from services.drivers.modal_objects import Standing
from services.drivers.moments import to_us
from services.drivers.opening import Opening
from services.resources.kv.adapters import counter
from services.resources.kv.adapters.modal.cells import OP_BYTES
from theory.core.errors import TheoryError

_NAME = "theory-kv-requests"
_BEGUN = Struct(">32sQ16s")
_SEED_BYTES = 16


@dataclass(frozen=True, slots=True)
class Begun:
    """A request, as it was begun."""

    seed: bytes
    since_us: int | None
    """Since when somebody else may have been at it; None where this is the first who is."""
    answers: list[int | TheoryError] | None = None
    """What was answered, where it is done."""

    def op_of(self, key: str) -> bytes:
        """What its write to a key is known by."""
        return blake2s(key.encode(), key=self.seed, digest_size=OP_BYTES).digest()


class Requests:
    """All requests of a deployment, in one Dict."""

    def __init__(self, connection: Connection, opening: Opening) -> None:
        self._clock = opening.clock
        self._ids = opening.ids
        self._asked = Standing(connection, _NAME).asked

    async def begin(self, plan_id: str, request_id: str, digest: bytes) -> Begun:
        """The request, begun now or before; `AlreadyExists` (`REQUEST_ID_TAKEN`) where it asked for something else."""
        seed = bytes.fromhex(self._ids.token_hex(_SEED_BYTES))
        mine = _BEGUN.pack(digest, to_us(self._clock.now()), seed)
        where = hash_of(plan_id, request_id)
        held = await self._asked(lambda requests: requests.claim(f"b:{where}", mine))
        return Begun(seed, None) if held == mine else await self._known(where, request_id, digest, held)

    async def find(self, plan_id: str, request_id: str, digest: bytes) -> list[int | TheoryError] | None:
        """What was answered; None where it never was. `AlreadyExists` (`REQUEST_ID_TAKEN`)."""
        where = hash_of(plan_id, request_id)
        held = await self._asked(lambda requests: requests.get(f"b:{where}"))
        return None if held is None else (await self._known(where, request_id, digest, held)).answers

    async def end(self, plan_id: str, request_id: str, answers: list[int | TheoryError]) -> None:
        """Remember what was answered."""
        where, text = hash_of(plan_id, request_id), counter.pack(answers).encode()
        await self._asked(lambda requests: requests.claim(f"a:{where}", text))

    async def _known(self, where: str, request_id: str, digest: bytes, held: bytes) -> Begun:
        if len(held) != _BEGUN.size:
            raise foreign()
        asked, since_us, seed = _BEGUN.unpack(held)
        if asked != digest:
            raise counter.taken(request_id)
        text = await self._asked(lambda requests: requests.get(f"a:{where}"))
        try:
            answers = None if text is None else counter.unpack(text.decode("ascii"))
        except (KeyError, ValueError):
            raise foreign() from None
        return Begun(seed, since_us, answers)
