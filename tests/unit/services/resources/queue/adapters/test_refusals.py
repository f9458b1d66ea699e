"""What a refusal of a store of messages says."""

from services.resources.queue.adapters import refusals
from services.resources.queue.ports import QueueQuotas


def test_a_quota_is_named_with_its_limit() -> None:
    quotas = QueueQuotas(topics=4, messages=5, size_bytes=6)
    assert refusals.too_many_topics(quotas).metadata == {"quota": "topics", "limit": "4"}
    assert refusals.too_many_messages(quotas).metadata == {"quota": "messages", "limit": "5"}
    assert refusals.too_many_bytes(quotas).metadata == {"quota": "bytes", "limit": "6"}


def test_an_ended_plan_is_named() -> None:
    assert (refusals.plan_ended("p").reason, refusals.plan_ended("p").metadata) == ("PLAN_ENDED", {"plan_id": "p"})


def test_a_topic_says_how_it_was_made() -> None:
    assert refusals.topic_taken(3).metadata == {"max_receives": "3"}
