"""`theory queue`: a plan's messages."""

import argparse
from dataclasses import asdict

from theory.cli.failures import OK
from theory.cli.kv import given_bytes, preview, value_document
from theory.cli.session import Session, plan_named
from theory.cli.text import moment
from theory.core.adapters import QueueNack, QueuePublish
from theory.core.clock import rfc3339
from theory.sdk.rpc import unwrapped


async def publish(session: Session, options: argparse.Namespace) -> int:
    """Add a message to a topic."""
    item = QueuePublish(given_bytes(options.body), options.key, options.delay)
    async with session.connect() as theory:
        plan_id = await plan_named(theory, options.plan)
        asked = theory.queue.publish_many(plan_id.text, options.topic, [item], max_receives=options.max_receives)
        (published,) = unwrapped(await asked)
    session.output.line(published.message_id, " (known by its key, nothing added)" if published.duplicate else "")
    session.output.document({"message_id": published.message_id, "duplicate": published.duplicate})
    return OK


async def consume(session: Session, options: argparse.Namespace) -> int:
    """Hand out visible messages."""
    async with session.connect() as theory:
        plan_id = await plan_named(theory, options.plan)
        messages = await theory.queue.consume(
            plan_id=plan_id.text,
            topic=options.topic,
            max_messages=options.max,
            visibility_timeout_s=options.visibility,
            wait_s=options.wait,
            dead_letters=options.dead,
        )
    rows = [
        (moment(each.publish_time), str(each.receive_count), each.receipt_handle, preview(each.body))
        for each in messages
    ]
    session.output.table(rows, ["published", ">received", "handle", "body"])
    if not messages:
        session.output.line("no dead letter is visible" if options.dead else "no message is visible")
    session.output.document(
        {
            "messages": [
                {
                    "message_id": each.message_id,
                    "receipt_handle": each.receipt_handle,
                    "receive_count": each.receive_count,
                    "publish_time": rfc3339(each.publish_time),
                    **value_document(each.body),
                }
                for each in messages
            ]
        }
    )
    return OK


async def ack(session: Session, options: argparse.Namespace) -> int:
    """Take delivered messages out of the queue."""
    async with session.connect() as theory:
        plan_id = await plan_named(theory, options.plan)
        unwrapped(await theory.queue.ack_many(plan_id.text, options.topic, options.handles))
    session.output.document({"acknowledged": options.handles})
    return OK


async def nack(session: Session, options: argparse.Namespace) -> int:
    """Give delivered messages back."""
    items = [QueueNack(handle, options.delay) for handle in options.handles]
    async with session.connect() as theory:
        plan_id = await plan_named(theory, options.plan)
        unwrapped(await theory.queue.nack_many(plan_id.text, options.topic, items))
    session.output.document({"given_back": options.handles})
    return OK


async def redrive(session: Session, options: argparse.Namespace) -> int:
    """Bring dead letters back to their topic."""
    async with session.connect() as theory:
        plan_id = await plan_named(theory, options.plan)
        unwrapped(await theory.queue.redrive_many(plan_id.text, options.topic, options.handles))
    session.output.document({"brought_back": options.handles})
    return OK


async def stats(session: Session, options: argparse.Namespace) -> int:
    """Count the messages of a plan."""
    async with session.connect() as theory:
        plan_id = await plan_named(theory, options.plan)
        topics = await theory.queue.stats(plan_id.text)
    rows = [(each.topic, str(each.visible), str(each.hidden), str(each.delayed), str(each.dead)) for each in topics]
    session.output.table(rows, ["topic", ">visible", ">hidden", ">delayed", ">dead"])
    if not topics:
        session.output.line("nothing was published")
    session.output.document({"plan_id": plan_id.text, "topics": [asdict(each) for each in topics]})
    return OK
