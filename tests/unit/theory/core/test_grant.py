"""What an attempt is granted: its own plan, world, execution and epoch, and nothing beside."""

from collections.abc import Callable

import pytest

from theory.core.errors import Denied, Invalid
from theory.core.grant import AttemptGrant
from theory.core.ids import ExecutionId, PlanId
from theory.core.jcs import JSON
from theory.core.selector import Selector
from theory.core.world_path import WorldName, WorldPath

X = ExecutionId("p-1.a")
GRANT = AttemptGrant(
    plan_id=PlanId("p-1"),
    world=WorldName("shared"),
    execution_id=X,
    attempt_idx=2,
    epoch=5,
    writes=(Selector.parse("/artifacts/outputs/text/**"), Selector.parse("/artifacts/answer.json")),
    topics=("jobs",),
)


def test_it_allows_what_is_its_own() -> None:
    GRANT.require_plan("p-1")
    GRANT.require_world(WorldName("shared"))
    GRANT.require_execution(X, 5)
    GRANT.require_topic("jobs")
    GRANT.require_writable([WorldPath("/artifacts/outputs/text/a/b"), WorldPath("/artifacts/answer.json")])


@pytest.mark.parametrize(
    ("field", "require"),
    [
        ("plan_id", lambda: GRANT.require_plan("p-2")),
        ("plan_id", lambda: GRANT.require_plan("p-1 ")),
        ("world", lambda: GRANT.require_world(WorldName("p-1"))),
        ("execution_id", lambda: GRANT.require_execution(ExecutionId("p-1.a.0"), 5)),
        ("epoch", lambda: GRANT.require_execution(X, 4)),
        ("epoch", lambda: GRANT.require_execution(X, 6)),
        ("topic", lambda: GRANT.require_topic("jobs2")),
        ("outputs", lambda: GRANT.require_writable([WorldPath("/artifacts/outputs/text2/a")])),
        ("outputs", lambda: GRANT.require_writable([WorldPath("/artifacts/outputs/text")])),
        ("outputs", lambda: GRANT.require_writable([WorldPath("/artifacts/answer.json/a")])),
    ],
)
def test_it_denies_what_is_not_and_names_the_field(field: str, require: Callable[[], None]) -> None:
    with pytest.raises(Denied) as caught:
        require()
    assert (caught.value.reason, caught.value.metadata["field"]) == ("ATTEMPT_DENIED", field)


def test_without_declared_topics_every_topic_is_open() -> None:
    anything = AttemptGrant(GRANT.plan_id, GRANT.world, X, 0, 1, ())
    anything.require_topic("whatever")
    assert "topics" not in anything.to_claims()


def test_claims_say_all_of_it_and_are_read_back() -> None:
    assert AttemptGrant.from_claims(GRANT.to_claims() | {"jti": "other"}) == GRANT
    anything = AttemptGrant(GRANT.plan_id, GRANT.world, X, 0, 1, ())
    assert AttemptGrant.from_claims(anything.to_claims()) == anything
    nothing = AttemptGrant(GRANT.plan_id, GRANT.world, X, 0, 1, (), topics=())
    assert AttemptGrant.from_claims(nothing.to_claims()) == nothing


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("sub", None),
        ("sub", "../x"),
        ("plan", "P"),
        ("world", 7),
        ("attempt", None),
        ("attempt", True),
        ("epoch", 0),
        ("epoch", 1.0),
        ("writes", "/artifacts/**"),
        ("writes", ["/artifacts"]),
        ("topics", [1]),
    ],
)
def test_claims_of_another_form_are_refused(claim: str, value: JSON) -> None:
    with pytest.raises(Invalid):
        AttemptGrant.from_claims(GRANT.to_claims() | {claim: value})


def test_an_attempt_is_told_who_it_is() -> None:
    document = GRANT.to_document()
    assert document == {
        "plan_id": "p-1",
        "world": "shared",
        "execution_id": "p-1.a",
        "attempt_idx": 2,
        "epoch": 5,
        "writes": ["/artifacts/outputs/text/**", "/artifacts/answer.json"],
        "topics": ["jobs"],
    }
    assert "topics" not in AttemptGrant(GRANT.plan_id, GRANT.world, X, 0, 1, ()).to_document()
