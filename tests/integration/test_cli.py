"""The command `theory`, as people use it, against five services."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.documents import tool
from tests.integration.commands import PLAN, Command, commanded
from tests.scripted import Act, failing
from theory.core import jcs

pytestmark = pytest.mark.slow


@pytest.fixture
async def theory(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Command]:
    async with commanded(tmp_path_factory) as command:
        yield command


async def test_a_plan_runs_hits_and_tells_what_differed(theory: Command) -> None:
    first = await theory.ok("run", "plan.yaml", "--into", "out")
    assert "uploaded 2 files, 2 B" in first.out
    assert "3 executions: 3 ran" in first.out
    assert sorted(
        path.relative_to(theory.folder / "out").as_posix() for path in (theory.folder / "out").rglob("*.json")
    ) == [
        "report/out.json",
        "upper/0/out.json",
        "upper/1/out.json",
    ]

    second = await theory.ok("run", "plan.yaml")
    assert "uploaded" not in second.out
    assert "3 executions: all memo hits, nothing had to run" in second.out

    (theory.folder / "b.txt").write_bytes(b"changed")
    third = await theory.ok("run", "plan.yaml", "--json")
    assert third.document["plan"]["state"] == "succeeded"
    memos = {each["execution_id"].partition(".")[2]: each["memo"] for each in third.document["executions"]}
    assert memos["upper.0"]["hit"]
    assert memos["upper.1"]["differences"] == ["input_cids:/artifacts/inputs/b.txt"]
    assert not memos["report"]["hit"]

    explained = await theory.ok("plan", "explain", "latest")
    assert "input_cids:/artifacts/inputs/b.txt differed" in explained.out
    assert (await theory.ok("verify")).out.count("ok ") >= 3
    await _receipts_leave_as_files(theory)


async def _receipts_leave_as_files(theory: Command) -> None:
    checked = await theory.ok("ledger", "fsck", "--json")
    assert checked.document["sound"]
    note = await theory.ok("ledger", "checkpoint")
    assert note.out.splitlines()[:2] == [checked.document["log"], str(checked.document["size"])]
    exported = await theory.ok("ledger", "export", "latest", "--to", "kept", "--json")
    files = [each["file"] for each in exported.document["receipts"]]
    assert len(files) == 3
    key = exported.document["log_key"]
    verified = await theory.ok("verify", "--key", key, "--url", "unix:///nowhere", *files)
    assert verified.out.count("ok ") == 3
    assert f"verified: 3 receipts, signed by {checked.document['log']}" in verified.out
    changed = theory.folder / files[1]
    changed.write_bytes(changed.read_bytes().replace(b'"index":', b'"index":1'))
    refused = await theory("verify", *files)
    assert refused.code == 4
    assert f"fault  {files[1]}: PROOF_INVALID" in refused.out
    assert (await theory("verify", "--key", "nonsense", *files)).code == 2
    assert (await theory("verify", "absent.json")).code not in {0, 4}


async def test_a_plan_that_fails_ends_with_one_and_shows_what_was_written(theory: Command) -> None:
    theory.installation.runtime.scripts["upper.1"] = failing(log="reading b\nno such letter\n")
    ended = await theory.started("run", "plan.yaml")
    assert ended.code == 1
    assert "    | no such letter" in ended.out
    assert "skipped" in ended.out
    assert (await theory("plan", "watch", "latest", "--json")).code == 1
    shown = await theory.ok("plan", "executions", "latest", "upper.1")
    assert "no such letter" in shown.out


async def test_a_plan_may_be_submitted_and_looked_at_later(theory: Command) -> None:
    submitted = await theory.ok("run", "plan.yaml", "--no-watch", "--set", "name=other", "--json")
    plan_id = submitted.document["plan"]["plan_id"]
    watched = await theory.ok("plan", "watch", plan_id, "--json")
    last: Any = jcs.parse(watched.out.splitlines()[-1])
    assert last["plan"]["state"] == "succeeded"
    listed = (await theory.ok("plan", "ls", "--json")).document
    assert [(each["plan_id"], each["name"]) for each in listed["plans"]] == [(plan_id, "other")]
    assert f"world      {plan_id}" in (await theory.ok("plan", "show", "latest")).out
    assert "test/step@1" in (await theory.ok("plan", "executions", plan_id)).out


async def test_a_plan_is_cancelled_and_one_execution_of_another(theory: Command) -> None:
    runtime = theory.installation.runtime
    runtime.scripts |= {"upper.0": Act(hold=asyncio.Event()), "upper.1": Act(hold=asyncio.Event())}
    submitted = await theory.ok("run", "plan.yaml", "--no-watch", "--json")
    plan_id = submitted.document["plan"]["plan_id"]
    await runtime.until_running(2)
    assert "theory plan watch" in (await theory.ok("plan", "cancel", plan_id, "upper.0")).out
    ended = await theory.ok("plan", "cancel", plan_id)
    assert "cancelled" in ended.out
    again = await theory.ok("plan", "cancel", plan_id)
    assert again.out == "the plan had ended before: cancelled\n"
    assert (await theory("plan", "watch", plan_id, "--json")).code == 1
    shown = await theory.ok("plan", "show", plan_id)
    assert "it was cancelled" in shown.out
    assert (await theory("plan", "cancel", "p-none")).code == 1


async def test_the_account_of_a_plan_is_shown_and_added_to_exactly_once(theory: Command) -> None:
    plan_id = (await theory.ok("run", "plan.yaml", "--json")).document["plan"]["plan_id"]
    before = (await theory.ok("plan", "budget", plan_id, "--json")).document
    assert before["plan_id"] == plan_id
    cap = before["cap_usd_micro"]
    for _ in range(2):
        added = await theory.ok("plan", "budget", "latest", "--add", "2.50", "--request-id", "r-1", "--json")
        assert added.document == before | {
            "cap_usd_micro": cap + 2_500_000,
            "available_usd_micro": before["available_usd_micro"] + 2_500_000,
        }
    shown = await theory.ok("plan", "budget", "latest")
    assert [each.split()[0] for each in shown.out.splitlines()] == [
        *("account", "cap", "spent", "reserved", "owed", "available")
    ]
    for arguments, reason in (
        (("--add", "2.5000001"), "MONEY_INVALID"),
        (("--add", "-1"), "MONEY_INVALID"),
        (("--add", "0"), "MONEY_INVALID"),
        (("--add", "3", "--request-id", "r-1"), "REQUEST_ID_TAKEN"),
        (("--request-id", "r-2"), "give the amount with --add"),
    ):
        refused = await theory("plan", "budget", plan_id, *arguments)
        assert refused.code != 0
        assert reason in refused.err, refused
    assert (await theory("plan", "budget", "p-none")).code == 1


async def test_an_execution_is_explained_and_replayed(theory: Command) -> None:
    await theory.ok("run", "plan.yaml", "--set", "seed:=99")
    explained = await theory.ok("explain", "latest.report")
    assert "its own result, receipt verified" in explained.out
    assert "fingerprint:py_ver" in explained.out
    again = await theory.ok("replay", "latest.report")
    assert again.out.startswith("the same: p-")
    assert "it runs again as p-" in again.err
    calls = iter((b"one\n", b"two\n"))
    theory.installation.runtime.scripts["report"] = lambda context: Act(
        files={f"{context.write_prefix}out.txt": next(calls)}
    )
    await theory.ok("run", "plan.yaml", "--set", "seed:=98")
    differed = await theory("replay", "latest.report", "--json")
    assert (differed.code, differed.document["same"]) == (1, False)
    assert [each["where"] for each in differed.document["differences"]] == [
        "/artifacts/outputs/report/out.txt",
        "/artifacts/outputs/report/out.txt bytes 0-2",
    ]
    assert (await theory("replay", "latest.nobody")).code == 1


async def test_one_processor_runs_on_a_local_file(theory: Command) -> None:
    ended = await theory.ok(
        *("run-processor", "test/step@1", "--file", "/artifacts/inputs/a.txt=a.txt", "--input", "size:=3", "--json")
    )
    (execution,) = ended.document["executions"]
    assert execution["outputs"][0]["path"] == "/artifacts/outputs/run/out.json"


async def test_keys_are_put_counted_read_and_removed(theory: Command) -> None:
    await theory.ok("kv", "put", "p-1", "greeting", "hello")
    await theory.ok("kv", "put", "p-1", "file", "@b.txt", "--ttl", "60")
    assert (await theory.ok("kv", "incr", "p-1", "count", "--by", "3")).out == "3\n"
    assert (await theory.ok("kv", "get", "p-1", "greeting")).out == "hello"
    several = (await theory.ok("kv", "get", "p-1", "greeting", "none", "file", "--json")).document["keys"]
    assert [each["value"] for each in several] == ["hello", None, "b"]
    assert several[2]["expire_time"] is not None
    await theory.ok("kv", "rm", "p-1", "greeting", "none")
    assert (await theory("kv", "get", "p-1", "greeting")).code == 1


async def test_messages_are_published_consumed_given_back_and_acknowledged(theory: Command) -> None:
    published = await theory.ok("queue", "publish", "p-1", "work", "hello", "--key", "once", "--json")
    again = await theory.ok("queue", "publish", "p-1", "work", "hello", "--key", "once", "--json")
    assert again.document == {"message_id": published.document["message_id"], "duplicate": True}
    (first,) = (await theory.ok("queue", "consume", "p-1", "work", "--json")).document["messages"]
    assert (first["value"], first["receive_count"]) == ("hello", 1)
    await theory.ok("queue", "nack", "p-1", "work", first["receipt_handle"])
    (second,) = (await theory.ok("queue", "consume", "p-1", "work", "--json")).document["messages"]
    assert second["receive_count"] == 2
    await theory.ok("queue", "ack", "p-1", "work", second["receipt_handle"])
    assert "no message is visible" in (await theory.ok("queue", "consume", "p-1", "work")).out
    assert (await theory("queue", "ack", "p-1", "work", second["receipt_handle"])).code == 1


async def test_a_dead_letter_is_seen_counted_and_brought_back(theory: Command) -> None:
    assert (await theory.ok("queue", "stats", "p-1")).out == "nothing was published\n"
    await theory.ok("queue", "publish", "p-1", "work", "hello", "--max-receives", "1")
    (message,) = (await theory.ok("queue", "consume", "p-1", "work", "--wait", "5", "--json")).document["messages"]
    await theory.ok("queue", "nack", "p-1", "work", message["receipt_handle"])
    assert "no message is visible" in (await theory.ok("queue", "consume", "p-1", "work")).out
    assert (await theory.ok("queue", "stats", "p-1")).out.splitlines() == [
        "topic  visible  hidden  delayed  dead",
        "work         0       0        0     1",
    ]
    (dead,) = (await theory.ok("queue", "consume", "p-1", "work", "--dead", "--json")).document["messages"]
    assert dead["value"] == "hello"
    await theory.ok("queue", "redrive", "p-1", "work", dead["receipt_handle"])
    assert "no dead letter is visible" in (await theory.ok("queue", "consume", "p-1", "work", "--dead")).out
    (again,) = (await theory.ok("queue", "consume", "p-1", "work", "--json")).document["messages"]
    assert (again["message_id"], again["receive_count"]) == (message["message_id"], 1)


async def test_events_receipts_and_heads_are_shown(theory: Command) -> None:
    theory.installation.runtime.scripts["upper.0"] = Act(outputs={}, reported=0)
    await theory.ok("run", "plan.yaml")
    tail = await theory.ok("ledger", "tail", "latest", "-n", "2")
    assert "plan.succeeded" in tail.out.splitlines()[-1]
    every = await theory.ok("ledger", "tail", "latest", "-n", "0", "--json", "--kind", "execution.settled")
    assert len(every.out.splitlines()) == 3
    receipts = (await theory.ok("ledger", "receipts", "latest", "--json")).document
    assert {each["kind"] for each in receipts["receipts"]} == {"settle"}
    one = await theory.ok("ledger", "receipts", "latest", receipts["receipts"][0]["receipt_id"])
    assert "env_fingerprint" in one.out
    assert "account: " in (await theory.ok("ledger", "receipts", "latest")).out
    assert (await theory.ok("ledger", "show", "latest", "1", "--json")).document["seq"] == 1
    assert "system.registry" in (await theory.ok("ledger", "show")).out
    assert (await theory("ledger", "show", "latest", "9999")).code == 1


async def test_a_catalog_is_applied_and_shown(theory: Command) -> None:
    folder = theory.folder / "catalog" / "processors"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_bytes(jcs.canonical(dict(tool("mine/tool@1").document)))
    assert "published  tools  mine/tool@1" in (await theory.ok("registry", "apply", "catalog")).out
    assert "unchanged" in (await theory.ok("registry", "apply", "catalog")).out
    (folder / "mine.yaml").write_bytes(jcs.canonical(dict(tool("mine/tool@1", writes=["/artifacts/x/"]).document)))
    refused = await theory("registry", "apply", "catalog")
    assert refused.code == 1
    assert "at: catalog/processors/mine.yaml" in refused.err
    assert "reason: REF_TAKEN" in refused.err
    assert "mine/tool@1" in (await theory.ok("registry", "ls", "tools")).out
    assert "prefix: /artifacts/outputs/" in (await theory.ok("registry", "show", "mine/tool@1")).out
    assert (await theory("registry", "show", "mine/none@1")).code == 1


async def test_secrets_are_told_by_name_only(theory: Command) -> None:
    ended = await theory("secrets", "check", "NOT_THERE")
    assert ended.code == 1
    assert "env" in ended.out


async def test_the_doctor_finds_nothing_where_all_is_well(theory: Command) -> None:
    ended = await theory.ok("doctor")
    assert "runtime process" in ended.out
    assert "nothing to fix" in ended.out
    findings = (await theory.ok("doctor", "services", "--json")).document["findings"]
    assert {each["verdict"] for each in findings} == {"ok"}


@pytest.mark.parametrize(
    ("text", "reason", "place"),
    [
        ("name: a\nname: b\n", "YAML_INVALID", "at: plan.yaml:2:1"),
        ("name: &x a\n", "YAML_INVALID", "at: plan.yaml:1:7"),
        (PLAN.replace("seed: 7", "seed: seven"), "PLAN_INVALID", "field: seed"),
        (PLAN.replace("[upper]", "[lower]"), "PLAN_INVALID", "field: transitions[1].needs[0]"),
        (PLAN.replace("test/step@1", "test/none@1"), "SPEC_UNKNOWN", "ref: test/none@1"),
        (PLAN.replace('"*.txt"', '"*.png"'), "FILE_UNKNOWN", "field: files./artifacts/inputs/[0]"),
    ],
)
async def test_a_bad_plan_is_refused_with_its_place_and_nothing_is_recorded(
    theory: Command, text: str, reason: str, place: str
) -> None:
    (theory.folder / "plan.yaml").write_text(text)
    ended = await theory("run", "plan.yaml")
    assert ended.code in {1, 2}
    assert f"reason: {reason}" in ended.err
    assert place in ended.err
    assert (await theory.ok("plan", "ls", "--json")).document == {"plans": []}
