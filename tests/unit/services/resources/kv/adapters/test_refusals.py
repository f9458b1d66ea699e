"""What a refusal of a store of keys says."""

from services.resources.kv.adapters import refusals
from services.resources.kv.ports import KVQuotas


def test_a_quota_is_named_with_its_limit() -> None:
    quotas = KVQuotas(keys=5, size_bytes=6)
    assert refusals.too_many_keys(quotas).metadata == {"quota": "keys", "limit": "5"}
    assert refusals.too_many_bytes(quotas).metadata == {"quota": "bytes", "limit": "6"}
    assert {refusals.too_many_keys(quotas).reason, refusals.too_many_bytes(quotas).reason} == {"QUOTA_EXCEEDED"}


def test_an_ended_plan_is_named() -> None:
    assert (refusals.plan_ended("p").reason, refusals.plan_ended("p").metadata) == ("PLAN_ENDED", {"plan_id": "p"})


def test_a_full_reply_is_asked_again() -> None:
    assert refusals.reply_full().reason == "REPLY_FULL"
