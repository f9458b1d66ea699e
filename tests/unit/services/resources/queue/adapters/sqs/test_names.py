"""Names of queues: alike on every replica, short enough, and never taken for another's."""

import re

import pytest

from services.resources.queue.adapters.sqs.names import Name, Names

_NAMES = Names("prod")
_URL = "https://sqs.eu-central-1.amazonaws.com/123456789012/"


@pytest.mark.parametrize("deployment", ["a", "x" * 20])
@pytest.mark.parametrize("text", ["p", "p" * 64])
def test_sqs_takes_every_name(deployment: str, text: str) -> None:
    names = Names(deployment)
    made = [
        names.topic(text, "t" * 128, dead_letters=False),
        names.topic(text, "..", dead_letters=True),
        names.ended(text),
        names.every(text, 1_000_000),
    ]
    assert [name for name in made if not re.fullmatch(r"[A-Za-z0-9_-]{1,80}", name)] == []


def test_a_name_tells_neither_plan_nor_topic_and_is_always_the_same() -> None:
    name = _NAMES.topic("plan-1", "work", dead_letters=False)
    assert name == Names("prod").topic("plan-1", "work", dead_letters=False)
    assert "plan-1" not in name
    assert "work" not in name
    assert (
        len(
            {
                name,
                _NAMES.topic("plan-1", "Work", dead_letters=False),
                _NAMES.topic("plan-2", "work", dead_letters=False),
            }
        )
        == 3
    )


def test_all_queues_of_a_plan_begin_alike() -> None:
    plan = _NAMES.plan("p")
    made = [_NAMES.topic("p", "t", dead_letters=dead) for dead in (False, True)]
    assert all(name.startswith(f"{plan}-") for name in (*made, _NAMES.ended("p"), _NAMES.every("p", 3)))
    assert all(name.startswith(_NAMES.marks("p")) for name in (_NAMES.ended("p"), _NAMES.every("p", 3)))


def test_a_url_is_read_back() -> None:
    live, dead, ended, every = (
        _parsed(name)
        for name in (
            _NAMES.topic("p", "t", dead_letters=False),
            _NAMES.topic("p", "t", dead_letters=True),
            _NAMES.ended("p"),
            _NAMES.every("p", 7),
        )
    )
    assert {each.plan for each in (live, dead, ended, every)} == {_NAMES.plan("p")}
    assert [each.holds_messages for each in (live, dead, ended, every)] == [True, True, False, False]
    assert [each.ended for each in (live, dead, ended, every)] == [False, False, True, False]
    assert [each.event_every for each in (live, dead, ended, every)] == [None, None, None, 7]
    assert dead.rest == live.rest + Names.DEAD


@pytest.mark.parametrize(
    "name",
    [
        "th-prod-",
        "th-prod-x-ended",
        "orders",
        Names("prod2").ended("p"),
        Names("p").ended("p"),
        f"x-{_NAMES.ended('p')}",
    ],
)
def test_queues_of_others_are_passed_over(name: str) -> None:
    assert _NAMES.parse(_URL + name) is None


def _parsed(name: str) -> Name:
    parsed = _NAMES.parse(_URL + name)
    assert parsed is not None
    return parsed
