"""Why a store of keys says no; the words are the same whichever store says them."""

from services.resources.kv.ports import KVQuotas
from theory.core.errors import Exhausted, NotReady


def reply_full() -> Exhausted:
    """This value no longer fits the answer."""
    return Exhausted("REPLY_FULL", "the reply is full; ask for this key again")


def plan_ended(plan_id: str) -> NotReady:
    """Nothing is written to the plan any more."""
    return NotReady("PLAN_ENDED", "the plan has ended; its keys take nothing any more", plan_id=plan_id)


def too_many_keys(quotas: KVQuotas) -> Exhausted:
    """The plan has as many keys as it may."""
    message = f"a plan keeps at most {quotas.keys} keys"
    return Exhausted("QUOTA_EXCEEDED", message, quota="keys", limit=str(quotas.keys))


def too_many_bytes(quotas: KVQuotas) -> Exhausted:
    """The plan's keys and values weigh as much as they may."""
    message = f"the keys and values of a plan weigh at most {quotas.size_bytes} bytes"
    return Exhausted("QUOTA_EXCEEDED", message, quota="bytes", limit=str(quotas.size_bytes))
