"""Every interleaving of the settle protocol, in the small.

Two executions of one plan want one path with different bytes. `x` is carried out by two executors, of which the second
takes over at any moment, whether the first is dead or merely slow; `y` by one, by running or from the memo. Executors
crash between any two steps, and come back or not; attempts fail and are tried again; answers are lost; the account
cannot pay for everything; the sweep of the artifact store doubts any reservation at any time. Every state that can be
reached is visited, and the rules that are driven are those of the services. Rules and habits that are broken on purpose
show that the checks would see it.
"""

import sys
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import pytest

from services.artifacts.adapters.bindings.memory import MemoryTable
from services.artifacts.ports import Hold, PathKey
from services.ledger.domain import budget as accounts
from services.ledger.domain import settle as settlement
from services.ledger.domain.books import Books
from services.ledger.domain.settle import ClaimAnswer, SettleAnswer
from services.ledger.ports import AttemptState, StoredReceipt
from tests.properties.settle_protocol import Habits, Protocol, State, Violated
from tests.properties.settle_stores import Ledger, Rules, Table, parsed
from theory.core.errors import TheoryError
from theory.core.ids import ExecutionId
from theory.core.ledger import Budget
from theory.core.settle import ClaimRequest, SettleRequest


def explore(protocol: Protocol, start: State) -> int:
    """Visit every state, nearest first, and count them; `Violated` says how to get to what is wrong."""
    came_from: dict[State, tuple[str, State] | None] = {start: None}
    waiting = deque([start])
    sound: set[tuple[int, int]] = set()
    while waiting:
        state = waiting.popleft()
        try:
            if (state.ledger, state.table) not in sound:
                check(protocol.stores.ledger(state.ledger), protocol.stores.table(state.table))
                sound.add((state.ledger, state.table))
            following = list(protocol.steps(state))
            if all(after.crashes < state.crashes for _, after in following):
                check_end(protocol, state)
        except (Violated, AssertionError, TheoryError) as error:
            raise Violated(f"{error}; the way there: {', '.join(_way_to(state, came_from))}") from error
        for label, after in following:
            if after not in came_from:
                came_from[after] = (sys.intern(label), state)
                waiting.append(after)
    return len(came_from)


def _way_to(state: State, came_from: Mapping[State, tuple[str, State] | None]) -> list[str]:
    way: list[str] = []
    while (step := came_from[state]) is not None:
        label, state = step
        way.append(label)
    return way[::-1]


def check(ledger: Ledger, table: Table) -> None:
    """What is true at any moment."""
    final = [receipt for each in ledger.receipts if each.kind == "settle" and (receipt := parsed(each.preimage)).final]
    by_execution = {receipt.execution_id: receipt for receipt in final}
    assert len(by_execution) == len(final), "an execution is settled twice"
    named = {each.execution_id: each.settled_receipt_id for each in ledger.executions if each.settled_receipt_id}
    assert named == {name: each.receipt_id for name, each in by_execution.items()}, (
        "a final receipt is not the one named"
    )

    promised = {(output.path.text, output.cid) for receipt in final for output in receipt.outputs}
    assert len(promised) == len({path for path, _ in promised}), "two executions were settled with one path"
    bound = {(hold.key.path, hold.cid) for hold in table.holds if hold.owner is None}
    assert bound <= promised, "something is bound that no receipt names"

    account = ledger.budget
    opened = sum(each.reserved_usd_micro for each in ledger.attempts if each.state is AttemptState.OPEN)
    assert account.reserved_usd_micro == opened, "the open reservations do not add up"
    costs = sum(each.cost_usd_micro for each in ledger.attempts)
    assert account.spent_usd_micro + account.debt_usd_micro == costs, "the costs do not add up"
    assert account.reserved_usd_micro + account.spent_usd_micro <= account.cap_usd_micro, "the account is overdrawn"


def check_end(protocol: Protocol, state: State) -> None:
    """What is true once nothing is left to do but to crash."""
    ledger, table = protocol.stores.ledger(state.ledger), protocol.stores.table(state.table)
    for actor in state.actors:
        assert actor.phase in ("done", "dead"), f"{actor.name} waits for ever: {actor.phase}"
    assert all(hold.owner is None for hold in table.holds), "a path is reserved for ever"
    assert not any(fence.open for fence in table.fences), "a reservation is open for ever"
    bound = {(hold.key.path, hold.cid) for hold in table.holds}
    unfinished = set()
    for name in {actor.execution for actor in state.actors}:
        known = ledger.execution(name)
        if known is None or known.settled_receipt_id is None:
            unfinished.add(name)
            continue
        outputs = ledger.receipt(known.settled_receipt_id).outputs
        assert {(output.path.text, output.cid) for output in outputs} <= bound, f"{name} is settled and not bound"
    dead = {actor.execution for actor in state.actors if actor.phase == "dead"}
    done = {actor.execution for actor in state.actors if actor.phase == "done"}
    assert unfinished <= dead - done, "an execution ended without a settlement"
    held = {each.execution_id for each in ledger.attempts if each.state is AttemptState.OPEN}
    # Who died before it had reserved a path left nothing that anyone would ask about: the next claim closes it.
    assert held <= unfinished, "an attempt is open for ever"


# Who takes part, how many crashes, how many doubts about someone who is alive.
SMALL = [("x1 x2 y1", 0, 0), ("x1 y1", 1, 0), ("x1 y1", 0, 1), ("x1 x2", 1, 1)]
LARGE = [("x1 x2 y1", 1, 0), ("x1 x2 y1", 0, 1), ("x1 x2 y1", 1, 1)]


@pytest.mark.parametrize(
    ("actors", "crashes", "doubts"),
    [
        *SMALL,
        pytest.param("x1 y1", 1, 1, marks=pytest.mark.slow),
        *(pytest.param(*each, marks=pytest.mark.long) for each in LARGE),
    ],
)
def test_no_interleaving_breaks_a_promise(actors: str, crashes: int, doubts: int) -> None:
    protocol = Protocol(Rules(), Habits())
    assert explore(protocol, protocol.start(*actors.split(), crashes=crashes, doubts=doubts)) > 3_000


def _settle_at_any_epoch(books: Books, request: SettleRequest) -> SettleAnswer:
    known = books.execution(request.execution_id.text)
    assert known is not None
    attempt = books.attempt(request.execution_id.text, known.epoch)
    assert attempt is not None
    return settlement.settle(books, replace(request, epoch=known.epoch, attempt_idx=attempt.attempt_idx))


def _settle_again_and_again(books: Books, request: SettleRequest) -> SettleAnswer:
    attempt = books.attempt(request.execution_id.text, request.epoch)
    if attempt is not None and attempt.state is AttemptState.SETTLED:
        books.put_attempt(replace(attempt, state=AttemptState.OPEN))
    return settlement.settle(books, request)


def _claim_whatever_is_settled(books: Books, request: ClaimRequest) -> ClaimAnswer:
    known = books.execution(request.execution_id.text)
    if known is not None:
        books.put_execution(replace(known, settled_receipt_id=None))
    return settlement.claim(books, request)


def _claim_of_the_same_epoch(books: Books, request: ClaimRequest) -> ClaimAnswer:
    known = books.execution(request.execution_id.text)
    attempt = books.attempt(known.execution_id, known.epoch) if known is not None else None
    if attempt is not None and attempt.state is AttemptState.OPEN:
        return ClaimAnswer(attempt.epoch)
    return settlement.claim(books, request)


def _resolve_without_a_fence(books: Books, execution_id: ExecutionId, epoch: int) -> StoredReceipt | None:
    known = books.execution(execution_id.text)
    if known is None or known.settled_receipt_id is None:
        return None
    return settlement.resolve(books, execution_id, epoch)


class _Blind(MemoryTable):
    """A table in which an execution does not see what others have reserved."""

    def __init__(self, table: MemoryTable) -> None:
        super().__init__()
        self.__dict__.update(vars(table))

    def holds(self, keys: Collection[PathKey]) -> Mapping[PathKey, Hold]:
        return {key: hold for key, hold in super().holds(keys).items() if hold.owner is None}


BROKEN_RULES: Mapping[str, Rules] = {
    "settle checks no epoch": Rules(settle=_settle_at_any_epoch),
    "a repeated settle is settled again": Rules(settle=_settle_again_and_again),
    "a settled execution can be claimed": Rules(claim=_claim_whatever_is_settled),
    "a claim issues the epoch that is open": Rules(claim=_claim_of_the_same_epoch),
    "resolve fences nothing": Rules(resolve=_resolve_without_a_fence),
    "reservations exclude nobody": Rules(table=_Blind),
}
BROKEN_HABITS: Mapping[str, Habits] = {
    "reservations have a time to live": Habits(expires=True),
    "the sweep drops on suspicion": Habits(asks_ledger=False),
    "settled before it is prepared": Habits(prepares_first=False),
    "a fenced executor commits all the same": Habits(heeds_fence=False),
}


@pytest.mark.parametrize("name", BROKEN_RULES)
def test_a_broken_rule_is_noticed(name: str) -> None:
    _assert_noticed(BROKEN_RULES[name], Habits())


@pytest.mark.parametrize("name", BROKEN_HABITS)
def test_a_broken_habit_is_noticed(name: str) -> None:
    _assert_noticed(Rules(), BROKEN_HABITS[name])


def _reserve_without_looking(budget: Budget | None, plan_id: str, usd_micro: int) -> Budget:
    assert budget is not None
    return replace(budget, reserved_usd_micro=budget.reserved_usd_micro + usd_micro)


@pytest.mark.parametrize(
    ("module", "name", "broken"),
    [
        pytest.param(settlement, "_close_as_lost", lambda *_: None, id="a claim leaves the attempt before it open"),
        pytest.param(settlement, "_record_charge", lambda *_: None, id="a charge is not recorded"),
        pytest.param(accounts, "reserve", _reserve_without_looking, id="a reservation does not look at the cap"),
    ],
)
def test_a_broken_part_is_noticed(
    module: object, name: str, broken: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, name, broken)
    _assert_noticed(Rules(), Habits())


def _assert_noticed(rules: Rules, habits: Habits) -> None:
    def explore_small() -> None:
        for actors, crashes, doubts in SMALL:
            protocol = Protocol(rules, habits)
            explore(protocol, protocol.start(*actors.split(), crashes=crashes, doubts=doubts))

    with pytest.raises(Violated, match="the way there"):
        explore_small()
