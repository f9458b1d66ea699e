"""What a process knows of messages: each turn comes once, the newest, in its order."""

from services.resources.queue.adapters.modal.messages import Side, State, Turn
from services.resources.queue.adapters.modal.turns import Turns

_TOPIC = "t"


def _turn(message_id: str, number: int = 1, at_us: int = 0, side: Side = Side.LIVE) -> Turn:
    return Turn(message_id, number, State(side, at_us, number))


def _taken(turns: Turns, now_us: int, side: Side = Side.LIVE) -> list[str]:
    taken = []
    while turn := turns.take(_TOPIC, side, now_us):
        taken.append(turn.message_id)
    return taken


def test_turns_come_in_their_order_and_not_early() -> None:
    turns = Turns()
    for at_us, message_id in ((3, "c"), (1, "a"), (2, "b")):
        turns.put(_TOPIC, _turn(message_id, at_us=at_us))
    assert turns.next_us(_TOPIC, Side.LIVE) == 1
    assert _taken(turns, 2) == ["a", "b"]
    assert _taken(turns, 2) == []
    assert turns.next_us(_TOPIC, Side.LIVE) == 3
    assert turns.next_us("other", Side.LIVE) is None


def test_a_taken_turn_is_known_and_comes_again_only_when_it_is_put_back() -> None:
    turns = Turns()
    turns.put(_TOPIC, _turn("a"))
    assert _taken(turns, 0) == ["a"]
    assert "a" in turns
    assert _taken(turns, 9) == []
    turns.put(_TOPIC, _turn("a"), 5)
    assert _taken(turns, 4) == []
    assert _taken(turns, 5) == ["a"]


def test_a_newer_turn_takes_the_place_of_an_older_one() -> None:
    turns = Turns()
    turns.put(_TOPIC, _turn("a", 1, 1))
    turns.put(_TOPIC, _turn("a", 2, 5))
    turns.put(_TOPIC, _turn("a", 1, 1))
    assert turns.next_us(_TOPIC, Side.LIVE) == 5
    assert _taken(turns, 4) == []
    assert _taken(turns, 5) == ["a"]
    assert turns.get("a") == _turn("a", 2, 5)


def test_a_turn_is_of_its_topic_and_side() -> None:
    turns = Turns()
    turns.put(_TOPIC, _turn("a", 1))
    turns.put(_TOPIC, _turn("a", 2, side=Side.DEAD))
    assert _taken(turns, 9) == []
    assert turns.take("other", Side.DEAD, 9) is None
    assert _taken(turns, 9, Side.DEAD) == ["a"]


def test_what_is_gone_is_forgotten() -> None:
    turns = Turns()
    turns.put(_TOPIC, _turn("a", 1))
    turns.put(_TOPIC, _turn("a", 2, side=Side.GONE))
    turns.put(_TOPIC, _turn("b", 1))
    turns.drop("b")
    turns.drop("nobody")
    assert "a" not in turns
    assert list(turns.ids()) == []
    assert _taken(turns, 9) == []


def test_a_hint_gives_a_turn_once() -> None:
    turns = Turns()
    assert turns.take_hinted(_turn("new", 0)) == _turn("new", 0)
    assert turns.take_hinted(_turn("new", 0)) is None
    turns.put(_TOPIC, _turn("waiting", 2, at_us=7))
    assert turns.take_hinted(_turn("waiting", 1)) is None
    assert turns.take_hinted(_turn("waiting", 2)) == _turn("waiting", 2, at_us=7)
    assert _taken(turns, 9) == []
    turns.put(_TOPIC, _turn("behind", 2, at_us=7))
    assert turns.take_hinted(_turn("behind", 5)) == _turn("behind", 5)
    assert _taken(turns, 9) == []


def test_moves_leave_nothing_behind() -> None:
    turns = Turns()
    for number in range(2_000):
        turns.put(_TOPIC, _turn("a", number, at_us=number))
    [side] = turns._sides.values()
    assert len(side.turns) < 200
    assert _taken(turns, 2_000) == ["a"]
    assert len(turns) == 1
