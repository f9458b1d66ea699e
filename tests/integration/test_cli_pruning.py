"""`theory ledger prune`, as people use it: counted first, refused without a word, and honest about what is gone."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.embedded import embedded
from tests.integration.command_line import CommandLine, command_line
from theory.core.chain import NewEvent
from theory.core.ledger import PlanEvent
from theory.sdk.ledger import LedgerClient
from theory.wire.channel import connect
from theory.wire.identity import Role, ServiceKeys

pytestmark = pytest.mark.slow

CHAIN = "p-mine"
TIMES = ("2026-01-02T00:00:00.000000Z", "2026-01-03T00:00:00.000000Z", "2026-01-04T00:00:00.000000Z")


@pytest.fixture
async def theory(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[CommandLine]:
    """The command, and a chain of three events that it may prune."""
    home = tmp_path_factory.mktemp("h")
    home.chmod(0o700)
    async with embedded(home), command_line(home, tmp_path_factory.mktemp("w")) as line:
        token = ServiceKeys.load_or_create(home).token_of(Role.RESOURCES)
        async with connect(f"unix://{home}/theory.sock", token=token) as channel:
            for at, ts in enumerate(TIMES):
                event = NewEvent(f"kv/{at}", "scratch.kv.changed", ts, {"key": f"secret {at}", "op": "put"})
                await LedgerClient(channel).append(PlanEvent(CHAIN, event))
        yield line


async def test_pruning_is_counted_refused_done_and_told(theory: CommandLine) -> None:
    counted = await _document(theory, "prune", CHAIN, "--dry-run")
    assert (counted["event_count"], counted["dry_run"]) == (3, True)
    refused = await theory("ledger", "prune", CHAIN)
    assert refused.code == 2
    assert "say so with --yes, or count with --dry-run" in refused.err

    early = await _document(theory, "prune", CHAIN, "--before", "2026-01-03T00:00:00Z", "--yes")
    assert early["event_count"] == 1
    none = await _document(theory, "prune", CHAIN, "--before", "2020-01-01T00:00:00Z", "--yes")
    assert (none["event_count"], none["freed_bytes"]) == (0, 0)
    rest = await theory("ledger", "prune", CHAIN, "--yes")
    assert "2 events lost what they said" in rest.out
    assert "hashes, proofs and receipts stay" in rest.out

    told = await theory("ledger", "tail", CHAIN)
    assert told.out.count("pruned") >= 3
    assert "secret" not in told.out
    shown = await theory("ledger", "show", CHAIN, "1")
    assert "what it said was pruned" in shown.out
    one = await _document(theory, "show", CHAIN, "1")
    assert (one["pruned"], one["body"], one["ts"]) == (True, None, TIMES[0])
    assert (await theory("ledger", "verify", CHAIN)).code == 0
    assert (await theory("verify", CHAIN)).code == 0
    whole = await _document(theory, "fsck")
    assert (whole["sound"], whole["pruned"]) == (True, 3)
    assert "3 pruned" in (await theory("ledger", "fsck")).out


async def test_what_cannot_be_pruned_is_refused_with_its_reason(theory: CommandLine) -> None:
    for arguments, words in (
        (("--kind", "budget.*"), "are ever pruned"),
        (("--to", "-1"), "is not a whole number from 1 on"),
        (("--to", "0"), "is not a whole number from 1 on"),
        (("--to", "1", "--before", "2026-01-03T00:00:00Z"), "both say where to end"),
        (("--before", "yesterday"), "no time with a zone"),
    ):
        refused = await theory("ledger", "prune", CHAIN, "--yes", *arguments)
        assert refused.code != 0
        assert words in refused.err, refused
    assert (await _document(theory, "fsck"))["pruned"] == 0


async def _document(theory: CommandLine, *arguments: str) -> dict[str, Any]:
    ended = await theory("ledger", *arguments, "--json")
    assert ended.code == 0, ended
    document: dict[str, Any] = ended.document
    return document
