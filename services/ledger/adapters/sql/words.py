"""What the ledger says to each product: look-ups of many keys at once, in one statement whose text never changes.

A list of keys is one parameter of JSON. On SQLite, CROSS JOIN fixes the order: for each key, look up its row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

# ruff: noqa: S608 - names of tables and columns, and marks for values

_BEFORE = "(SELECT this_hash FROM event AS before WHERE before.chain = event.chain AND before.seq = event.seq - 1)"
_EVENT = (
    "event.log_index, event.chain, event.seq, event_key, kind, ts_us, event.this_hash, preimage,"
    f" CASE WHEN length(preimage) = 0 THEN {_BEFORE} END"
)


@dataclass(frozen=True, slots=True)
class Words:
    """Statements; the order of their values is that of their fields here."""

    heads: str
    """By plan ids: chain, plan id, seq, hash."""
    heads_after: str
    """Plan id, limit."""
    begin_chain: str
    """Plan id, seq, hash; gives the chain's number."""
    events: str
    """Plan id, seq, limit."""
    events_of_time: str
    """Plan id, seq, first and end of time, limit."""
    events_of_kinds: str
    """Plan id, seq, first and end of time, kinds, what kinds begin with, limit."""
    events_by_key: str
    """By event keys; the plan id comes last."""
    kinds: str
    """Plan id, kinds: which of them there are."""
    payloads: str
    """Plan id, first and last seq, kinds, what kinds begin with, limit."""
    prune: str
    """By places in the log."""
    log_size: str
    begin_log: str
    """Size."""
    grow_log: str
    """Size after, size before."""
    tiles: str
    """By level and index."""
    budgets: str
    move_budget: str
    """Cap, reserved, spent, debt; plan id; the same four as they were."""
    executions: str
    attempts: str
    """By execution id and epoch."""
    receipts: str
    receipts_of_plan: str
    """Plan id, position, limit."""


class _Product(NamedTuple):
    mark: str
    """What stands for a value."""
    keys: str
    """A table `key` of one column `value`, out of a list of texts."""
    pairs: str
    """The same, out of a list of pairs."""
    first: str
    second: str
    """The parts of such a pair; `number` in front where it is one."""
    number: str
    list: str
    """The values of a list of texts, as what stands behind IN."""
    numbers: str
    """The same of a list of numbers."""
    empty: str
    """No bytes."""
    begins: str
    """Whether a kind begins with a word."""


_SQLITE = _Product(
    mark="?",
    keys="json_each(?) AS key CROSS JOIN {table}",
    pairs="json_each(?) AS key CROSS JOIN {table}",
    first="json_extract(key.value, '$[0]')",
    second="json_extract(key.value, '$[1]')",
    number="{0}",
    list="SELECT value AS word FROM json_each(?)",
    numbers="SELECT value FROM json_each(?)",
    empty="x''",
    begins="substr(kind, 1, length(word)) = word",
)
_POSTGRES = _Product(
    mark="%s",
    keys="json_array_elements_text(%s::json) AS key(value) JOIN {table}",
    pairs="json_array_elements(%s::json) AS key(value) JOIN {table}",
    first="(key.value ->> 0)",
    second="(key.value ->> 1)",
    number="{0}::bigint",
    list="SELECT json_array_elements_text(%s::json) AS word",
    numbers="SELECT json_array_elements_text(%s::json)::bigint",
    empty="''::bytea",
    begins="starts_with(kind, word)",
)


def _words(product: _Product) -> Words:
    mark = product.mark

    def by(table: str, column: str, columns: str = "") -> str:
        return f"SELECT {columns or table + '.*'} FROM {product.keys.format(table=table)} ON {column} = key.value"

    def by_pair(table: str, first: str, second: str, *, numbers: bool) -> str:
        one = product.number.format(product.first) if numbers else product.first
        two = product.number.format(product.second)
        return f"SELECT {table}.* FROM {product.pairs.format(table=table)} ON {first} = {one} AND {second} = {two}"

    of_chain = (
        f"SELECT {_EVENT} FROM event WHERE chain = (SELECT chain FROM head WHERE plan_id = {mark}) AND seq > {mark}"
    )
    of_kind = f"(kind IN ({product.list}) OR EXISTS (SELECT 1 FROM ({product.list}) AS family WHERE {product.begins}))"
    of_time = f"ts_us >= {mark} AND ts_us < {mark}"
    return Words(
        heads=by("head", "plan_id"),
        heads_after=f"SELECT plan_id, seq, this_hash FROM head WHERE plan_id > {mark} ORDER BY plan_id LIMIT {mark}",
        begin_chain=f"INSERT INTO head (plan_id, seq, this_hash) VALUES ({mark}, {mark}, {mark}) RETURNING chain",
        events=f"{of_chain} ORDER BY seq LIMIT {mark}",
        events_of_time=f"{of_chain} AND {of_time} ORDER BY seq LIMIT {mark}",
        events_of_kinds=f"{of_chain} AND {of_time} AND {of_kind} ORDER BY seq LIMIT {mark}",
        events_by_key=f"SELECT {_EVENT}, head.plan_id FROM {product.keys.format(table='event')}"
        " ON event_key = key.value JOIN head ON head.chain = event.chain",
        kinds=f"SELECT DISTINCT kind FROM event WHERE chain = (SELECT chain FROM head WHERE plan_id = {mark})"
        f" AND kind IN ({product.list})",
        payloads="SELECT log_index, seq, kind, this_hash, length(preimage) FROM event"
        f" WHERE chain = (SELECT chain FROM head WHERE plan_id = {mark}) AND seq > {mark} AND seq <= {mark}"
        f" AND length(preimage) > 0 AND {of_kind} ORDER BY seq LIMIT {mark}",
        prune=f"UPDATE event SET preimage = {product.empty} WHERE log_index IN ({product.numbers})",
        log_size="SELECT size FROM log",
        begin_log=f"INSERT INTO log VALUES (1, {mark})",
        grow_log=f"UPDATE log SET size = {mark} WHERE size = {mark}",
        tiles=by_pair("tile", "level", "tile_index", numbers=True),
        budgets=by("budget", "plan_id"),
        move_budget=f"UPDATE budget SET cap = {mark}, reserved = {mark}, spent = {mark}, debt = {mark}"
        f" WHERE plan_id = {mark} AND cap = {mark} AND reserved = {mark} AND spent = {mark} AND debt = {mark}",
        executions=by("execution", "execution_id"),
        attempts=by_pair("attempt", "execution_id", "epoch", numbers=False),
        receipts=by("receipt", "receipt_id"),
        receipts_of_plan=f"SELECT * FROM receipt WHERE plan_id = {mark} AND position > {mark}"
        f" ORDER BY position LIMIT {mark}",
    )


WORDS_BY_DIALECT: Mapping[str, Words] = {"sqlite": _words(_SQLITE), "postgresql": _words(_POSTGRES)}
