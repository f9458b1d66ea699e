"""`theory kv`: a plan's keys."""

import argparse
import base64
import sys
from pathlib import Path

from theory.cli.failures import FAILED, OK
from theory.cli.output import Cell
from theory.cli.session import Session, plan_named
from theory.cli.text import clean, cut, line, size
from theory.core.adapters import KVValue
from theory.core.clock import rfc3339
from theory.core.jcs import JSON
from theory.sdk.rpc import unwrapped


async def get(session: Session, options: argparse.Namespace) -> int:
    """Print the values of keys."""
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


async def put(session: Session, options: argparse.Namespace) -> int:
    """Set a key."""
    value = given_bytes(options.value)
    async with session.connect() as theory:
        plan_id = await plan_named(theory, options.plan)
        await theory.kv.put(plan_id=plan_id.text, key=options.key, value=value, ttl_s=options.ttl)
    session.output.document({"key": options.key, "size_bytes": len(value)})
    return OK


async def incr(session: Session, options: argparse.Namespace) -> int:
    """Add to a counter."""
    async with session.connect() as theory:
        plan_id = await plan_named(theory, options.plan)
        total = await theory.kv.incr(plan_id=plan_id.text, key=options.key, by=options.by, ttl_s=options.ttl)
    session.output.line(str(total))
    session.output.document({"key": options.key, "value": total})
    return OK


async def rm(session: Session, options: argparse.Namespace) -> int:
    """Delete keys."""
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
