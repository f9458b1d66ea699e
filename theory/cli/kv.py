"""`theory kv`: a plan's keys."""

import argparse
import base64
import sys
from pathlib import Path

from theory.cli.app import add_verb
from theory.cli.failures import FAILED, OK
from theory.cli.output import Cell
from theory.cli.session import Session, plan_named
from theory.cli.text import clean, cut, line, size
from theory.core.adapters import KVValue
from theory.core.clock import rfc3339
from theory.core.jcs import JSON
from theory.sdk.rpc import unwrapped

PLAN = "a plan's id, or 'latest'"


def configure(parser: argparse.ArgumentParser) -> None:
    """The verbs of this noun."""
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    get = add_verb(verbs, "get", "print the values of keys; one alone is printed as it is", _get)
    get.add_argument("plan", metavar="PLAN", help=PLAN)
    get.add_argument("keys", metavar="KEY", nargs="+")
    put = add_verb(verbs, "put", "set a key", _put)
    put.add_argument("plan", metavar="PLAN", help=PLAN)
    put.add_argument("key", metavar="KEY")
    put.add_argument("value", metavar="VALUE", help="text; @FILE reads a file, @- standard input")
    put.add_argument("--ttl", type=int, metavar="S", help="seconds until it expires (default: never)")
    incr = add_verb(verbs, "incr", "add to a counter and print the sum", _incr)
    incr.add_argument("plan", metavar="PLAN", help=PLAN)
    incr.add_argument("key", metavar="KEY")
    incr.add_argument("--by", type=int, default=1, metavar="N", help="what to add (default: 1); may be negative")
    incr.add_argument("--ttl", type=int, metavar="S", help="seconds until it expires, where this creates it")
    remove = add_verb(verbs, "rm", "delete keys; one that is not there is fine", _remove)
    remove.add_argument("plan", metavar="PLAN", help=PLAN)
    remove.add_argument("keys", metavar="KEY", nargs="+")


async def _get(session: Session, options: argparse.Namespace) -> int:
    async with session.connect() as theory:
        plan_id = await plan_named(theory, options.plan)
        found = unwrapped(await theory.kv.get_many(plan_id.text, options.keys))
    pairs = list(zip(options.keys, found, strict=True))
    session.output.document({"keys": [_document(key, value) for key, value in pairs]})
    if len(pairs) > 1:
        absent = Cell("absent", "dim")
        session.output.table((key, absent if each is None else preview(each.value)) for key, each in pairs)
    elif found[0] is not None and not session.output.as_json:
        session.output.data(found[0].value)
    if len(pairs) == 1 and found[0] is None:
        session.output.note(f"the key {clean(options.keys[0])} is absent")
        return FAILED
    return OK


async def _put(session: Session, options: argparse.Namespace) -> int:
    value = given_bytes(options.value)
    async with session.connect() as theory:
        plan_id = await plan_named(theory, options.plan)
        await theory.kv.put(plan_id=plan_id.text, key=options.key, value=value, ttl_s=options.ttl)
    session.output.document({"key": options.key, "size_bytes": len(value)})
    return OK


async def _incr(session: Session, options: argparse.Namespace) -> int:
    async with session.connect() as theory:
        plan_id = await plan_named(theory, options.plan)
        total = await theory.kv.incr(plan_id=plan_id.text, key=options.key, by=options.by, ttl_s=options.ttl)
    session.output.line(str(total))
    session.output.document({"key": options.key, "value": total})
    return OK


async def _remove(session: Session, options: argparse.Namespace) -> int:
    async with session.connect() as theory:
        plan_id = await plan_named(theory, options.plan)
        unwrapped(await theory.kv.delete_many(plan_id.text, options.keys))
    session.output.document({"deleted": options.keys})
    return OK


def _document(key: str, value: KVValue | None) -> dict[str, JSON]:
    if value is None:
        return {"key": key, "value": None, "expire_time": None}
    expire_time = None if value.expire_time is None else rfc3339(value.expire_time)
    return {"key": key, **value_document(value.value), "expire_time": expire_time}


def given_bytes(text: str) -> bytes:
    """What an argument holds: its text, or with `@FILE` a file's bytes, with `@-` those of standard input."""
    if text == "@-":
        return sys.stdin.buffer.read()
    return Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()


def preview(data: bytes) -> str:
    """Bytes in one short line: their text where they are text, else how many there are."""
    try:
        return cut(line(data.decode()), 80)
    except UnicodeDecodeError:
        return f"({size(len(data))})"


def value_document(data: bytes) -> dict[str, JSON]:
    """Bytes in JSON: as text where they are text, else in base64."""
    try:
        return {"value": data.decode()}
    except UnicodeDecodeError:
        return {"value_base64": base64.b64encode(data).decode()}
