"""Why a store of messages says no; the words are the same whichever store says them."""

from services.resources.queue.ports import QueueQuotas
from theory.core.errors import AlreadyExists, Exhausted, NotFound, NotReady


def plan_ended(plan_id: str) -> NotReady:
    """Nothing is published to the plan any more."""
    return NotReady("PLAN_ENDED", "the plan has ended; its topics take nothing any more", plan_id=plan_id)


def topic_taken(max_receives: int) -> AlreadyExists:
    """The topic was made with this figure, not the one that was given."""
    text = str(max_receives)
    return AlreadyExists("TOPIC_TAKEN", f"the topic was made with max_receives {text}", max_receives=text)


def too_many_topics(quotas: QueueQuotas) -> Exhausted:
    """The plan has as many topics as it may."""
    message = f"a plan has at most {quotas.topics} topics"
    return Exhausted("QUOTA_EXCEEDED", message, quota="topics", limit=str(quotas.topics))


def too_many_messages(quotas: QueueQuotas) -> Exhausted:
    """The plan has as many messages as it may."""
    message = f"a plan keeps at most {quotas.messages} messages"
    return Exhausted("QUOTA_EXCEEDED", message, quota="messages", limit=str(quotas.messages))


def too_many_bytes(quotas: QueueQuotas) -> Exhausted:
    """The plan's bodies weigh as much as they may."""
    message = f"the bodies of a plan weigh at most {quotas.size_bytes} bytes"
    return Exhausted("QUOTA_EXCEEDED", message, quota="bytes", limit=str(quotas.size_bytes))


def message_unknown() -> NotFound:
    """The message of the delivery is not there any more."""
    return NotFound("MESSAGE_UNKNOWN", "the message was acknowledged before")


def superseded() -> NotReady:
    """A newer delivery of the message exists."""
    return NotReady("RECEIPT_SUPERSEDED", "the message was handed out again since")
