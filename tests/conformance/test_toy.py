"""One file and one line of a table put an adapter under every promise; and one that cheats is found out."""

import asyncio
import textwrap
from pathlib import Path
from typing import Any

import pytest

from services.resources.kv import adapters as kv_adapters
from services.resources.queue import adapters as queue_adapters
from tests.conformance.harness import Harness, adapters_of, target_of
from tests.servers import Servers
from theory.testing.primitives import cases_of
from theory.testing.report import Outcome, Report
from theory.testing.runner import run

_FILE_BY_PRIMITIVE = {
    "kv": """
import asyncio
from services.resources.kv.adapters.memory import MemoryKV
from theory.core.adapters import KVPut
from theory.core.scratch import kv_changed

class Toy(MemoryKV):
    kind = "toy"
{body}

async def open(url, opening, quotas):
    return Toy(opening, quotas)
""",
    "queue": """
from services.resources.queue.adapters.memory import MemoryQueue
from services.resources.queue.ports import QueueFeature
from theory.core.adapters import QueuePublish

class Toy(MemoryQueue):
    kind = "toy"
{body}

async def open(url, opening, quotas):
    return Toy(opening, quotas)
""",
}
_TABLE_BY_PRIMITIVE: dict[str, Any] = {
    "kv": kv_adapters.MODULE_BY_SCHEME,
    "queue": queue_adapters.MODULE_BY_SCHEME,
}

_CHEATS = [
    pytest.param("kv", cheat, caught, id=f"kv-{name}")
    for name, cheat, caught in [
        (
            "deletes nothing",
            "async def delete_many(self, plan_id, keys): return [None] * len(keys)",
            "a_write_is_seen_by_every_later_read",
        ),
        (
            "adds in two steps",
            """
            async def incr_many(self, plan_id, items, request_id=None):
                [found] = await self.get_many(plan_id, [items[0].key])
                for _ in range(50):
                    await asyncio.sleep(0)
                total = int(found.value if found else b"0") + items[0].by
                await self.put_many(plan_id, [KVPut(items[0].key, b"%d" % total)])
                return [total] * len(items)
            """,
            "increments_at_once_all_count",
        ),
        (
            "forgets when keys end",
            """
            async def put_many(self, plan_id, items):
                return await super().put_many(plan_id, [KVPut(each.key, each.value) for each in items])
            """,
            "an_expired_key_is_never_seen",
        ),
        (
            "knows one plan only",
            """
            async def get_many(self, plan_id, keys): return await super().get_many("p", keys)
            async def put_many(self, plan_id, items): return await super().put_many("p", items)
            """,
            "a_key_belongs_to_its_plan",
        ),
        (
            "forgets which plans ended",
            "async def end_plan(self, plan_id): self._plans.pop(plan_id, None)",
            "an_ended_plan_takes_no_key",
        ),
        (
            "counts no request twice",
            """
            async def incr_many(self, plan_id, items, request_id=None):
                return await super().incr_many(plan_id, items)
            """,
            "a_repeated_request_adds_once",
        ),
        ("has no quotas", "def _keep(self, plan, key, value): plan.values[key] = value", "_limited_number_of_keys"),
        (
            "tells in its own words",
            """
            def __init__(self, opening, quotas):
                super().__init__(opening, quotas)
                tell = self._teller.tell

                def mistell(plan_id, changes, *, every):
                    tell(plan_id, [kv_changed(each.body["key"], "changed") for each in changes], every=every)

                self._teller.tell = mistell
            """,
            "each_change_is_told",
        ),
        (
            "fails where it reads",
            "async def get_many(self, plan_id, keys): raise RuntimeError",
            "an_absent_key_is_no_error",
        ),
    ]
] + [
    pytest.param("queue", cheat, caught, id=f"queue-{name}")
    for name, cheat, caught in [
        (
            "acknowledges nothing",
            """
            async def ack_many(self, plan_id, topic, receipt_handles, *, dead_letters):
                return [None] * len(receipt_handles)
            """,
            "an_acknowledged_message_is_gone_for_good",
        ),
        (
            "removes what it hands out",
            """
            async def consume(self, **asked):
                found = await super().consume(**asked)
                place = asked["plan_id"], asked["topic"], [each.receipt_handle for each in found.messages]
                await super().ack_many(*place, dead_letters=asked["dead_letters"])
                return found
            """,
            "a_delivered_message_is_hidden_for_its_timeout",
        ),
        (
            "takes any handle for the newest",
            """
            async def nack_many(self, plan_id, topic, items, *, dead_letters):
                side = self._plans[plan_id].topics[topic].live
                for item in items:
                    message = side.messages[item.receipt_handle.partition(":")[0]]
                    side.show(message, self._clock.now())
                return [None] * len(items)
            """,
            "a_superseded_handle_never_touches_the_newer_delivery",
        ),
        (
            "lets nothing die",
            """
            async def publish_many(self, plan_id, topic, items, max_receives):
                return await super().publish_many(plan_id, topic, items, None)
            """,
            "a_message_dies_after_so_many_deliveries",
        ),
        (
            "dedupes nothing",
            """
            async def publish_many(self, plan_id, topic, items, max_receives):
                plain = [QueuePublish(each.body, None, each.delay_s) for each in items]
                return await super().publish_many(plan_id, topic, plain, max_receives)
            """,
            "an_idempotency_key_publishes_once",
        ),
        (
            "delays nothing",
            """
            async def publish_many(self, plan_id, topic, items, max_receives):
                at_once = [QueuePublish(each.body, each.idempotency_key) for each in items]
                return await super().publish_many(plan_id, topic, at_once, max_receives)
            """,
            "a_delayed_message_is_not_early",
        ),
        (
            "brings back without forgiving",
            """
            async def redrive_many(self, plan_id, topic, receipt_handles):
                answers = await super().redrive_many(plan_id, topic, receipt_handles)
                for message in self._plans[plan_id].topics[topic].live.messages.values():
                    message.forgiven = 0
                return answers
            """,
            "a_dead_letter_that_is_brought_back_counts_anew",
        ),
        (
            "claims what it does not do",
            "async def stats(self, plan_id): return []",
            "each_message_is_counted_once_in_its_state",
        ),
    ]
]


@pytest.fixture
def toy_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, servers: Servers) -> Harness:
    monkeypatch.syspath_prepend(tmp_path)
    return Harness(tmp_path, servers)


def _added(primitive: str, body: str, harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the one file, and add the one line."""
    name = f"toy_{abs(hash((primitive, body)))}"
    lines = textwrap.indent(textwrap.dedent(body).strip() or "pass", "    ")
    (harness.home / f"{name}.py").write_text(_FILE_BY_PRIMITIVE[primitive].format(body=lines))
    monkeypatch.setitem(_TABLE_BY_PRIMITIVE[primitive], "toy", name)


async def _held(primitive: str, harness: Harness, only: str = "") -> Report:
    async with target_of(primitive, "toy", harness) as target:
        return await run([each for each in cases_of(primitive) if only in each.name], target, timeout_s=10)


@pytest.mark.parametrize("primitive", ["kv", "queue"])
def test_a_new_adapter_is_under_every_promise(
    primitive: str, toy_home: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    _added(primitive, "", toy_home, monkeypatch)
    assert "toy" in adapters_of(primitive)
    report = asyncio.run(_held(primitive, toy_home))
    assert [each.why for each in report.of(Outcome.BROKEN)] == []
    assert report.count(Outcome.KEPT) == len(cases_of(primitive))


# A case that is broken in the middle never makes the calls that it had prepared.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize(("primitive", "cheat", "caught"), _CHEATS)
def test_an_adapter_that_cheats_is_found_out(
    primitive: str, cheat: str, caught: str, toy_home: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    _added(primitive, cheat, toy_home, monkeypatch)
    report = asyncio.run(_held(primitive, toy_home, caught))
    assert report.count(Outcome.BROKEN) == 1, [each.why for each in report.verdicts]
