"""Verification of what a plan left behind: its chain, its receipts, its account, and the bytes that they name."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar

from theory.core.artifact import Artifact
from theory.core.audit import Fault
from theory.core.chain import Event
from theory.core.cid import Cid
from theory.core.errors import Corrupt, NotFound, TheoryError
from theory.core.ids import PlanId
from theory.core.receipt import AttemptOutcome, Receipt
from theory.core.stream import FACET
from theory.core.world_path import PathPrefix, WorldName, WorldPath
from theory.sdk.client import Theory
from theory.sdk.log import LogClient
from theory.sdk.rings import verify_rings
from theory.sdk.rpc import fitting
from theory.sdk.worlds import written

MAX_INLINE_BYTES = 1024 * 1024
"""Larger blobs are read as a stream."""
_MAX_ITEMS = 1_000
_HELD_BYTES = 32 * MAX_INLINE_BYTES

_OF_THE_LOG = frozenset({"SIGNATURE_INVALID", "CHECKPOINT_INVALID", "LOG_FORKED"})

_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class ArtifactFault:
    """One artifact that is not what the ledger says.

    `what` is `UNBOUND` (nothing is at the path), `BOUND_ELSEWHERE` (another CID is), `FIELDS` (size or content type say
    something else), `SIZE` (the bytes are more or fewer than is said), `BLOB_UNKNOWN` (the bytes are gone), or
    `BLOB_CORRUPT` (the bytes have another CID); of a chunk that a ring keeps it is `CHUNK_CORRUPT`.
    """

    world: str
    path: str
    cid: str
    what: str

    def __str__(self) -> str:
        return f"{self.world} {self.path} {self.cid}: {self.what}"


AnyFault: TypeAlias = Fault | ArtifactFault


@dataclass(frozen=True, slots=True)
class Verification:
    """What was looked at, and everything that is wrong with it."""

    chain: str
    """The plan's id, or `system.<service>`."""
    events: int
    receipts: int
    artifacts: int
    bytes_hashed: int
    """Of distinct contents."""
    faults: tuple[AnyFault, ...]
    chunks: int = 0
    """Chunks of streams that executions read."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


@dataclass(frozen=True, slots=True)
class WorldVerification:
    """What of a world was looked at, and everything that is wrong with it."""

    artifacts: int
    contents: int
    """How many distinct ones."""
    bytes_hashed: int
    faults: tuple[ArtifactFault, ...]
    chunks: int = 0
    """How many the rings of its streams keep."""


async def verify_world(theory: Theory, world: WorldName, prefix: PathPrefix | None = None) -> WorldVerification:
    """Read the bytes of everything that is bound in a world, or below one of its folders, each content once.

    Of streams, every chunk that a ring keeps; what executions have read of them is asked by `verify_plan`.

    That they hash to the CID and are as many as is said is computed here. What the ledger says of them is asked by
    `verify_plan`. Damage is a fault and no error, but for `Corrupt` where even the list cannot be read; `Unavailable`
    where the service is away.
    """
    claims = [
        _Claim(each.world, each.path, each.cid, each.size_bytes, each.content_type)
        async for each in theory.artifacts.list(world, prefix)
    ]
    checking = _Checking(theory)
    await checking.check_bytes(claims)
    contents = len({each.cid for each in claims})
    rings = await verify_rings(theory.streams, world, prefix)
    faults = [*checking.faults, *(ArtifactFault(world.text, path, cid, "CHUNK_CORRUPT") for path, cid in rings.corrupt)]
    return WorldVerification(
        artifacts=len(claims),
        contents=contents,
        bytes_hashed=checking.bytes_hashed + rings.bytes_hashed,
        faults=tuple(sorted(faults, key=lambda fault: fault.path)),
        chunks=rings.chunks,
    )


async def verify_plan(theory: Theory, plan_id: str, log: LogClient | None = None) -> Verification:
    """Recompute everything that the chain of a plan, or `system.<service>`, says.

    The chain, link by link; every receipt by its bytes, and that each is named by the chain and the other way round;
    the account; of every output of a succeeded final receipt, and of every file that was written directly, that the
    path is bound to its CID and that the bytes have it; of every chunk that an execution read, that there are bytes
    with its CID, whether or not the stream still keeps it. Only bytes count: no service is taken at its word.

    With `log` each event is also shown to be a leaf of the tree that the ledger signed, which contains every state of
    it that was seen before. Of a plan that goes on, outputs that are settled and not bound yet are passed over.

    Damage is a fault and no error. `NotFound` (`PLAN_UNKNOWN`) where the chain is empty; `Unavailable` where a service
    is away; `Corrupt` (`SIGNATURE_INVALID`, `CHECKPOINT_INVALID`, `LOG_FORKED`) where the ledger is not that of `log`,
    or has changed its history.
    """
    faults: list[AnyFault] = [*await _ledger_faults(theory, plan_id, log)]
    claims = await _read_claims(theory, plan_id)
    if not (claims.events or faults):
        raise NotFound("PLAN_UNKNOWN", f"the ledger has no chain {plan_id}", plan_id=plan_id)
    checking = _Checking(theory)
    await checking.check(claims.claimed)
    if any(each.what == "UNBOUND" for each in checking.faults) and await _goes_on(theory, plan_id):
        checking.faults = [each for each in checking.faults if each.what != "UNBOUND"]
    chunks = sum(each.is_chunk for each in claims.claimed)
    return Verification(
        chain=plan_id,
        events=claims.events,
        receipts=claims.receipts,
        artifacts=len(claims.claimed) - chunks,
        bytes_hashed=checking.bytes_hashed,
        faults=(*faults, *checking.faults),
        chunks=chunks,
    )


async def verify_all(theory: Theory, log: LogClient | None = None) -> AsyncIterator[Verification]:
    """`verify_plan` of every chain that the ledger has, those of the services included, in order of id."""
    chains = [head.plan_id async for head in theory.ledger.chains()]
    for chain in chains:
        yield await verify_plan(theory, chain, log)


@dataclass(frozen=True, slots=True)
class _Claim:
    """What the ledger says of a path; None where it does not say."""

    world: WorldName
    path: WorldPath
    cid: Cid
    size_bytes: int | None
    content_type: str | None

    @property
    def is_chunk(self) -> bool:
        """Whether it is a chunk of a stream, which is a blob and no binding."""
        return self.path.facet == FACET


@dataclass(slots=True)
class _Claims:
    events: int = 0
    receipts: int = 0
    by_place: dict[tuple[WorldName, WorldPath, Cid], _Claim] = field(default_factory=dict)

    @property
    def claimed(self) -> Sequence[_Claim]:
        return list(self.by_place.values())

    def add(self, claim: _Claim) -> None:
        place = (claim.world, claim.path, claim.cid)
        if place not in self.by_place or claim.content_type is not None:
            self.by_place[place] = claim


async def _ledger_faults(theory: Theory, plan_id: str, log: LogClient | None) -> list[Fault]:
    try:
        return await theory.ledger.verify_plan(plan_id, log)
    except Corrupt as error:
        if error.reason in _OF_THE_LOG:
            raise
        return [Fault(plan_id, error.reason)]


async def _read_claims(theory: Theory, plan_id: str) -> _Claims:
    """What the chain and the receipts that it names say about paths; damage is told by `_ledger_faults`."""
    claims = _Claims()
    receipt_ids: dict[str, None] = {}
    try:
        async for page in theory.ledger.events(plan_id):
            claims.events += len(page.events)
            for event in page.events:
                if (claim := _written(event)) is not None:
                    claims.add(claim)
                if isinstance(receipt_id := event.body.get("receipt_id"), str):
                    receipt_ids[receipt_id] = None
    except Corrupt:
        return claims
    for answer in await _each(list(receipt_ids), theory.ledger.get_receipts):
        if isinstance(answer, Receipt):
            claims.receipts += 1
            for claim in (*_settled(answer), *_read(answer)):
                claims.add(claim)
    return claims


def _written(event: Event) -> _Claim | None:
    found = written(event)
    if found is None:
        return None
    world, file = found
    return _Claim(world, file.path, file.cid, file.size_bytes, None)


def _settled(receipt: Receipt) -> Iterator[_Claim]:
    if receipt.kind != "settle" or not receipt.final or receipt.outcome is not AttemptOutcome.SUCCEEDED:
        return
    world = receipt.document.get("world")
    name = WorldName.parse(world if isinstance(world, str) else receipt.plan_id)
    for each in receipt.outputs:
        yield _Claim(name, each.path, each.cid, each.size_bytes, each.content_type)


def _read(receipt: Receipt) -> Iterator[_Claim]:
    """The chunks that the attempt of a receipt read, of whatever outcome."""
    listed = receipt.document.get("input_cids")
    world = receipt.document.get("world")
    for each in listed if isinstance(listed, list) else ():
        match each, world:
            case {"path": str(path), "cid": str(cid)}, str(name) if path.startswith(f"/{FACET}/"):
                with suppress(TheoryError):
                    yield _Claim(WorldName.parse(name), WorldPath.parse(path), Cid.parse(cid), None, None)


class _Checking:
    """Looks at what is bound, and at the bytes behind it, each content once."""

    def __init__(self, theory: Theory) -> None:
        self._artifacts = theory.artifacts
        self.faults: list[ArtifactFault] = []
        self.bytes_hashed = 0

    async def check(self, claims: Sequence[_Claim]) -> None:
        """Find everything that is wrong with these claims."""
        by_world: dict[WorldName, list[_Claim]] = {}
        for claim in claims:
            if not claim.is_chunk:
                by_world.setdefault(claim.world, []).append(claim)
        for world, claimed in by_world.items():
            bound = await _each([each.path for each in claimed], partial(self._artifacts.stat_many, world))
            for claim, artifact in zip(claimed, bound, strict=True):
                if what := _what_is_wrong(claim, artifact):
                    self._add(claim, what)
        await self.check_bytes(claims)

    async def check_bytes(self, claims: Sequence[_Claim]) -> None:
        """Find every content that is gone, that has another CID, or that is not as long as these claims say."""
        by_cid: dict[Cid, list[_Claim]] = {}
        for claim in claims:
            by_cid.setdefault(claim.cid, []).append(claim)
        size_by_cid = {cid: claimed[0].size_bytes or 0 for cid, claimed in by_cid.items()}
        small = [cid for cid, size in size_by_cid.items() if size <= MAX_INLINE_BYTES]
        for batch in fitting(small, max_items=_MAX_ITEMS, max_bytes=_HELD_BYTES, size_of=size_by_cid.__getitem__):
            for cid, answer in zip(batch, await _each(batch, self._artifacts.get_blobs_many), strict=True):
                if isinstance(answer, bytes):
                    self._measured(by_cid.pop(cid), len(answer))
        # The large ones; and those that were refused, for the reason.
        for cid, claimed in by_cid.items():
            try:
                with Path(os.devnull).open("wb") as nowhere:  # noqa: ASYNC230 - a device that never waits
                    self._measured(claimed, await self._artifacts.download(cid, nowhere))
            except (Corrupt, NotFound) as error:
                for claim in claimed:
                    self._add(claim, error.reason)

    def _measured(self, claimed: Sequence[_Claim], size_bytes: int) -> None:
        self.bytes_hashed += size_bytes
        told = {(each.world, each.path) for each in self.faults}
        for claim in claimed:
            if claim.size_bytes not in (None, size_bytes) and (claim.world.text, claim.path.text) not in told:
                self._add(claim, "SIZE")

    def _add(self, claim: _Claim, what: str) -> None:
        self.faults.append(ArtifactFault(claim.world.text, claim.path.text, claim.cid.text, what))


def _what_is_wrong(claim: _Claim, found: Artifact | TheoryError) -> str | None:
    if isinstance(found, NotFound):
        return "UNBOUND"
    if isinstance(found, TheoryError):
        return found.reason
    if found.cid != claim.cid:
        return "BOUND_ELSEWHERE"
    if claim.size_bytes not in (None, found.size_bytes) or claim.content_type not in (None, found.content_type):
        return "FIELDS"
    return None


async def _goes_on(theory: Theory, plan_id: str) -> bool:
    try:
        return not (await theory.executor.get_plan(PlanId.parse(plan_id))).state.terminal
    except TheoryError:
        return False


async def _each(
    items: Sequence[_K], ask: Callable[[Sequence[_K]], Awaitable[Sequence[_V | TheoryError]]]
) -> Sequence[_V | TheoryError]:
    """What `ask` says to each item; a batch that damage made fail as a whole is asked for in halves."""
    if not items:
        return []
    try:
        return await ask(items)
    except Corrupt as error:
        if len(items) == 1:
            return [error]
    half = len(items) // 2
    return [*await _each(items[:half], ask), *await _each(items[half:], ask)]
