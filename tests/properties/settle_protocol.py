"""The settle protocol as a graph of states: what executors and the sweep may do next."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from tests.properties.settle_stores import Rules, Stores, Table
from theory.core.artifact import Output
from theory.core.binding import Abortion, Commitment, Preparation
from theory.core.cid import Cid
from theory.core.errors import Conflict, NotReady, TheoryError
from theory.core.ids import ExecutionId, PlanId
from theory.core.ledger import Budget
from theory.core.receipt import AttemptOutcome, Receipt
from theory.core.settle import ClaimRequest, SettleRequest
from theory.core.world_path import WorldName, WorldPath

PLAN = PlanId("p")
WORLD = WorldName("shared")
CAP = 10
RESERVE = {"x": 6, "y": 4}
COST = {AttemptOutcome.SUCCEEDED: 7, AttemptOutcome.FAILED: 3}
LOST_COST = 1
ATTEMPTS = {"x": 2, "y": 1}
PATHS = {"x": ("/artifacts/both", "/artifacts/own"), "y": ("/artifacts/both",)}


class Violated(Exception):
    """Something happened that must not happen."""


class Actor(NamedTuple):
    """One executor that carries out one execution, and what it knows."""

    name: str
    phase: str
    """What it does next: `claim`, `run`, `prepare`, `settle`, `follow`. Else `idle`, `done`, `dead`."""
    attempt_idx: int = 0
    epoch: int = 0
    outcome: AttemptOutcome | None = None
    """How its attempt ended, as far as it knows."""
    memo: bool = False
    """Whether it repeats the outputs of an earlier execution, at no cost."""
    receipt_id: str = ""

    @property
    def execution(self) -> str:
        return self.name[0]


class Doubt(NamedTuple):
    """What the ledger answered to the sweep, which has not acted on it yet."""

    execution: str
    epoch: int
    receipt_id: str
    """Empty where the epoch was fenced."""


class State(NamedTuple):
    """Everything. The stores are numbers of `Stores`, so that a state is small and quickly compared."""

    actors: tuple[Actor, ...]
    ledger: int
    table: int
    doubt: Doubt | None = None
    crashes: int = 0
    """How many may still happen."""
    doubts: int = 0
    """How often the sweep may still doubt a reservation whose executor is alive."""

    def alive(self, execution: str) -> bool:
        return any(each.execution == execution and each.phase not in ("done", "dead") for each in self.actors)


Step: TypeAlias = tuple[str, State]
_Act: TypeAlias = tuple[str, State, Actor]


@dataclass(frozen=True, slots=True)
class Habits:
    """How executors and the sweep go about it. Any but these is a mistake that must be noticed."""

    prepares_first: bool = True
    heeds_fence: bool = True
    """Binds nothing once its settlement was refused."""
    asks_ledger: bool = True
    """Before it drops a doubtful reservation."""
    expires: bool = False
    """Whether a reservation vanishes by itself."""


class Protocol:
    """All that can happen, under these rules and habits."""

    def __init__(self, rules: Rules, habits: Habits) -> None:
        self.stores = Stores(Budget(PLAN.text, CAP), rules)
        self._habits = habits

    def start(self, *names: str, crashes: int, doubts: int) -> State:
        """`x2` waits for the moment to take over; the others begin."""
        actors = tuple(Actor(name, "idle" if name == "x2" else "claim") for name in names)
        stores = self.stores
        return State(actors, stores.first_ledger, stores.first_table, crashes=crashes, doubts=doubts)

    def steps(self, state: State) -> Iterator[Step]:
        """Everything that may happen next."""
        for at, actor in enumerate(state.actors):
            for label, after, became in self._acts(state, actor):
                yield f"{actor.name} {label}", _with_actor(after, at, became)
        yield from self._sweeps(state)
        if self._habits.expires:
            yield from self._expiries(state)
        if state.crashes:
            yield from self._crashes(state._replace(crashes=state.crashes - 1))

    def _acts(self, state: State, actor: Actor) -> Iterator[_Act]:
        match actor.phase:
            case "idle":
                yield "takes over", state, Actor(actor.name, "claim")
            case "claim":
                yield self._claims(state, actor, memo=False)
                if actor.execution == "y":
                    yield self._claims(state, actor, memo=True)
            case "run":
                yield "succeeds", state, self._ended(actor, AttemptOutcome.SUCCEEDED)
                yield "fails", state, self._ended(actor, AttemptOutcome.FAILED)
            case "prepare":
                yield from self._prepares(state, actor)
            case "settle":
                yield from self._settles(state, actor)
            case "follow":
                yield self._follows(state, actor)

    def _claims(self, state: State, actor: Actor, *, memo: bool) -> _Act:
        name, last = actor.execution, ATTEMPTS[actor.execution] - 1
        request = ClaimRequest(PLAN, ExecutionId(name), actor.attempt_idx, 0 if memo else RESERVE[name], LOST_COST)
        ledger, answer = self.stores.claim(state.ledger, request)
        refused = isinstance(answer, NotReady)
        if refused:  # the account cannot pay: the execution is claimed once more, to be settled as refused
            request = ClaimRequest(PLAN, ExecutionId(name), last, 0, LOST_COST)
            ledger, answer = self.stores.claim(state.ledger, request)
        if isinstance(answer, TheoryError):
            raise Violated(f"a claim was refused: {answer!r}")
        after = state._replace(ledger=ledger)
        if answer.settled_receipt is not None:
            receipt_id = answer.settled_receipt.receipt_id
            return "finds it settled", after, Actor(actor.name, "follow", receipt_id=receipt_id)
        claimed = Actor(actor.name, "run", request.attempt_idx, answer.epoch, memo=memo)
        if refused:
            return "is refused by the account", after, self._ended(claimed, AttemptOutcome.FAILED)
        if memo:
            return "hits the memo", after, self._ended(claimed, AttemptOutcome.SUCCEEDED)
        return f"claims epoch {answer.epoch}", after, claimed

    def _ended(self, actor: Actor, outcome: AttemptOutcome) -> Actor:
        prepares = outcome is AttemptOutcome.SUCCEEDED and self._habits.prepares_first
        return actor._replace(phase="prepare" if prepares else "settle", outcome=outcome)

    def _prepares(self, state: State, actor: Actor) -> Iterator[_Act]:
        item = Preparation(WORLD, PLAN, ExecutionId(actor.execution), actor.epoch, _outputs(actor))
        table, refused = self.stores.prepare(state.table, item)
        if refused is None:
            phase = "settle" if self._habits.prepares_first else "follow"
            yield "prepares", state._replace(table=table), actor._replace(phase=phase)
        elif refused.reason == "PATH_BOUND":
            yield "finds its path bound", state, actor._replace(phase="settle", outcome=AttemptOutcome.FAILED)
        elif refused.reason == "EPOCH_FENCED":
            yield "is fenced at prepare", state, self._superseded(state, actor)
        elif refused.reason != "PATH_RESERVED":  # then it waits
            raise Violated(f"a prepare was refused: {refused!r}")

    def _settles(self, state: State, actor: Actor) -> Iterator[_Act]:
        request = _settlement(actor)
        ledger, answer = self.stores.settle(state.ledger, request)
        if isinstance(answer, Conflict):
            if not self._habits.heeds_fence:
                item = Commitment(WORLD, PLAN, ExecutionId(actor.execution), actor.epoch, "", request.outputs)
                state = state._replace(table=self.stores.commit(state.table, item)[0])
            yield "is fenced at settle", state, self._superseded(state, actor)
            return
        if isinstance(answer, TheoryError):
            raise Violated(f"a settlement was refused: {answer!r}")
        after, receipt_id = state._replace(ledger=ledger), answer.receipt.receipt_id
        if request.outputs and not self._habits.prepares_first:
            yield "settles", after, actor._replace(phase="prepare", receipt_id=receipt_id)
            return
        follows = Actor(actor.name, "follow", actor.attempt_idx, receipt_id=receipt_id)
        yield f"settles as {request.outcome}", after, follows
        if not answer.repeated:
            yield f"settles as {request.outcome}, and the answer is lost", after, actor

    def _follows(self, state: State, actor: Actor) -> _Act:
        receipt = self.stores.ledger(state.ledger).receipt(actor.receipt_id)
        if receipt.outcome is AttemptOutcome.SUCCEEDED:
            return "commits", self._committed(state, actor.execution, receipt), Actor(actor.name, "done")
        abortion = Abortion(ExecutionId(actor.execution), receipt.epoch)
        after = state._replace(table=self.stores.abort(state.table, abortion))
        if receipt.final:
            return "aborts", after, Actor(actor.name, "done")
        return "aborts, and tries again", after, Actor(actor.name, "claim", actor.attempt_idx + 1)

    def _superseded(self, state: State, actor: Actor) -> Actor:
        """Overtaken by someone else: stop. Only doubted, by the sweep: claim again."""
        known = self.stores.ledger(state.ledger).execution(actor.execution)
        overtaken = known is not None and known.epoch > actor.epoch
        return Actor(actor.name, "done") if overtaken else Actor(actor.name, "claim", actor.attempt_idx)

    def _crashes(self, state: State) -> Iterator[Step]:
        for at, actor in enumerate(state.actors):
            if actor.phase in ("idle", "done", "dead"):
                continue
            if actor.phase != "claim":
                yield f"{actor.name} crashes", _with_actor(state, at, Actor(actor.name, "claim", actor.attempt_idx))
            # Whoever takes over x has yet to begin. Of y nobody ever comes back: the sweep alone is left.
            successors = [each for each in state.actors if each.execution == actor.execution and each is not actor]
            if all(each.phase == "idle" for each in successors):
                yield f"{actor.name} dies", _with_actor(state, at, Actor(actor.name, "dead"))

    def _sweeps(self, state: State) -> Iterator[Step]:
        if state.doubt is not None:
            yield self._decides(state, state.doubt)
            return
        for fence in self.stores.table(state.table).fences:
            name = fence.execution_id.text
            alive = state.alive(name)
            if not fence.open or (alive and not state.doubts):
                continue
            after = state._replace(doubts=state.doubts - alive)
            if not self._habits.asks_ledger:
                yield f"sweep suspects {name}", after._replace(doubt=Doubt(name, fence.epoch, ""))
                continue
            ledger, receipt = self.stores.resolve(state.ledger, fence.execution_id, fence.epoch)
            doubt = Doubt(name, fence.epoch, receipt.receipt_id if receipt else "")
            yield f"sweep asks about {name} at {fence.epoch}", after._replace(ledger=ledger, doubt=doubt)

    def _decides(self, state: State, doubt: Doubt) -> Step:
        after = state._replace(doubt=None)
        if doubt.receipt_id:
            receipt = self.stores.ledger(state.ledger).receipt(doubt.receipt_id)
            return f"sweep commits {doubt.execution}", self._committed(after, doubt.execution, receipt)
        table = self.stores.abort(state.table, Abortion(ExecutionId(doubt.execution), doubt.epoch))
        return f"sweep drops {doubt.execution} up to {doubt.epoch}", after._replace(table=table)

    def _committed(self, state: State, execution: str, receipt: Receipt) -> State:
        item = Commitment(WORLD, PLAN, ExecutionId(execution), receipt.epoch, receipt.receipt_id, receipt.outputs)
        table, refused = self.stores.commit(state.table, item)
        if refused is not None:
            raise Violated(f"{execution} is settled and can never be bound: {refused!r}")
        return state._replace(table=table)

    def _expiries(self, state: State) -> Iterator[Step]:
        table = self.stores.table(state.table)
        for hold in table.holds:
            if hold.owner is not None:
                rest = tuple(each for each in table.holds if each is not hold)
                expired = self.stores.with_table(Table(rest, table.fences))
                yield f"the reservation of {hold.key.path} expires", state._replace(table=expired)


def _with_actor(state: State, at: int, actor: Actor) -> State:
    return state._replace(actors=(*state.actors[:at], actor, *state.actors[at + 1 :]))


def _settlement(actor: Actor) -> SettleRequest:
    outcome = actor.outcome or AttemptOutcome.FAILED
    succeeded = outcome is AttemptOutcome.SUCCEEDED
    return SettleRequest(
        plan_id=PLAN,
        execution_id=ExecutionId(actor.execution),
        epoch=actor.epoch,
        attempt_idx=actor.attempt_idx,
        outcome=outcome,
        final=succeeded or actor.attempt_idx == ATTEMPTS[actor.execution] - 1,
        cost_usd_micro=0 if actor.memo else COST[outcome],
        outputs=_outputs(actor) if succeeded else (),
    )


def _outputs(actor: Actor) -> tuple[Output, ...]:
    """No two attempts write the same bytes, but memo hits do."""
    of = "memo" if actor.memo else f"{actor.execution}{actor.epoch}"
    return tuple(Output(WorldPath(path), Cid.of(f"{path} {of}".encode()), 1) for path in PATHS[actor.execution])
