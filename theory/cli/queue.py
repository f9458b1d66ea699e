"""`theory queue`: a plan's messages."""

import argparse

from theory.cli.app import add_verb
from theory.cli.failures import OK
from theory.cli.kv import PLAN, given_bytes, preview, value_document
from theory.cli.session import Session, plan_named
from theory.cli.text import moment
from theory.core.adapters import QueueNack, QueuePublish
from theory.core.clock import rfc3339
from theory.sdk.rpc import unwrapped


def configure(parser: argparse.ArgumentParser) -> None:
    """The verbs of this noun."""
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    publish = add_verb(verbs, "publish", "add a message to a topic and print its id", _publish)
    _add_place(publish)
    publish.add_argument("body", metavar="BODY", help="text; @FILE reads a file, @- standard input")
    publish.add_argument("--key", metavar="KEY", help="publish it once, however often this is repeated (10 minutes)")
    publish.add_argument("--delay", type=int, default=0, metavar="S", help="seconds until it becomes visible")
    consume = add_verb(verbs, "consume", "hand out visible messages and hide them for a while", _consume)
    _add_place(consume)
    consume.add_argument("--max", type=int, default=1, metavar="N", help="how many at most, 1 to 30 (default: 1)")
    consume.add_argument("--visibility", type=int, default=30, metavar="S", help="seconds to hide them (default: 30)")
    ack = add_verb(verbs, "ack", "take delivered messages out of the queue", _ack)
    _add_place(ack)
    ack.add_argument("handles", metavar="HANDLE", nargs="+", help="as consume printed it")
    nack = add_verb(verbs, "nack", "give delivered messages back", _nack)
    _add_place(nack)
    nack.add_argument("handles", metavar="HANDLE", nargs="+", help="as consume printed it")
    nack.add_argument("--delay", type=int, default=0, metavar="S", help="seconds until they become visible")


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("plan", metavar="PLAN", help=PLAN)
    parser.add_argument("topic", metavar="TOPIC")


async def _publish(session: Session, options: argparse.Namespace) -> int:
    item = QueuePublish(given_bytes(options.body), options.key, options.delay)
    async with session.connect() as theory:
        plan_id = await plan_named(theory, options.plan)
        (published,) = unwrapped(await theory.queue.publish_many(plan_id.text, options.topic, [item]))
    session.output.line(published.message_id, " (known by its key, nothing added)" if published.duplicate else "")
    session.output.document({"message_id": published.message_id, "duplicate": published.duplicate})
    return OK


async def _consume(session: Session, options: argparse.Namespace) -> int:
    async with session.connect() as theory:
        plan_id = await plan_named(theory, options.plan)
        messages = await theory.queue.consume(
            plan_id=plan_id.text, topic=options.topic, max_messages=options.max, visibility_timeout_s=options.visibility
        )
    rows = [
        (moment(each.publish_time), str(each.receive_count), each.receipt_handle, preview(each.body))
        for each in messages
    ]
    session.output.table(rows, ["published", ">received", "handle", "body"])
    if not messages:
        session.output.line("no message is visible")
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


async def _ack(session: Session, options: argparse.Namespace) -> int:
    async with session.connect() as theory:
        plan_id = await plan_named(theory, options.plan)
        unwrapped(await theory.queue.ack_many(plan_id.text, options.topic, options.handles))
    session.output.document({"acknowledged": options.handles})
    return OK


async def _nack(session: Session, options: argparse.Namespace) -> int:
    items = [QueueNack(handle, options.delay) for handle in options.handles]
    async with session.connect() as theory:
        plan_id = await plan_named(theory, options.plan)
        unwrapped(await theory.queue.nack_many(plan_id.text, options.topic, items))
    session.output.document({"given_back": options.handles})
    return OK
