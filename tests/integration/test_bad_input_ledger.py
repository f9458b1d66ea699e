"""The ledger on the command line, asked for what cannot be, and holding what is hard to show: said, never a stack."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest
import pytest_asyncio

from tests.embedded import embedded
from tests.integration.command_line import CommandLine, command_line
from theory.core.chain import NewEvent
from theory.core.jcs import JSON
from theory.core.ledger import PlanEvent
from theory.sdk.ledger import LedgerClient
from theory.sdk.receipt_file import MAX_FILE_BYTES
from theory.wire.channel import connect
from theory.wire.identity import Role, ServiceKeys

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

CHAIN = "p-strange"
BODIES: Sequence[Mapping[str, JSON]] = (
    {"key": "\x1b[31mred\x1b]0;title\x07", "op": "\x00\x08\r\n"},
    {"key": "\u202egnirts\u2066", "op": "\u2028\u0085\ufeff"},
    {"e\u0301": "\u00e9", "\u00e9": "e\u0301", "\U0001f600": 2**53 - 1},
)
_HALF = "p\udcff"
_NO_TEXT = "a text holds half a surrogate pair"
_NO_CHAIN = "a chain is a plan's id or system.<service>"
_NO_NUMBER = "is not a whole number from"
_BEYOND = str(2**63)
REFUSED: Sequence[tuple[Sequence[str], str, str]] = (
    (("ledger", "tail", _HALF), "FIELD_INVALID", _NO_TEXT),
    (("ledger", "tail", ""), "ID_INVALID", _NO_CHAIN),
    (("ledger", "tail", "P"), "ID_INVALID", _NO_CHAIN),
    (("ledger", "tail", "p\x00"), "ID_INVALID", _NO_CHAIN),
    (("ledger", "tail", "p", "--after", "-1"), "USAGE", _NO_NUMBER),
    (("ledger", "tail", "p", "--after", _BEYOND), "USAGE", _NO_NUMBER),
    (("ledger", "tail", "p", "--after", "1.5"), "USAGE", _NO_NUMBER),
    (("ledger", "tail", "p", "--after", "\u0661"), "USAGE", _NO_NUMBER),
    (("ledger", "tail", "p", "--lines", "-1"), "USAGE", _NO_NUMBER),
    (("ledger", "tail", "p", "--lines", "1_000"), "USAGE", _NO_NUMBER),
    (("ledger", "tail", "p", "--kind", "\udcff.x"), "FIELD_INVALID", _NO_TEXT),
    (("ledger", "tail", "p", "--kind", "Scratch.*"), "EVENT_KIND_INVALID", "a kind is written like"),
    (("ledger", "tail", "p", "--since", "now"), "USAGE", "is no time with a zone"),
    (("ledger", "tail", "p", "--since", "2026-01-01"), "USAGE", "is no time with a zone"),
    (("ledger", "tail", "p", "--since", "2026-02-29T00:00:00Z"), "USAGE", "is no time with a zone"),
    (("ledger", "tail", "p", "--since", "0001-01-01T00:00:00+14:00"), "TIME_INVALID", "the years 1 to 9999"),
    (("ledger", "tail", "p", "--until", "9999-12-31T23:59:59-14:00"), "TIME_INVALID", "the years 1 to 9999"),
    (
        ("ledger", "tail", "p", "--since", "2026-01-02T00:00:00Z", "--until", "2026-01-01T00:00:00Z"),
        "TIME_INVALID",
        "begins behind its end",
    ),
    (("ledger", "show", _HALF, "1"), "FIELD_INVALID", _NO_TEXT),
    (("ledger", "show", "p", "0"), "USAGE", _NO_NUMBER),
    (("ledger", "show", "p", "-1"), "USAGE", ""),
    (("ledger", "show", "p", _BEYOND), "USAGE", _NO_NUMBER),
    (("ledger", "timeline", _HALF), "FIELD_INVALID", _NO_TEXT),
    (("ledger", "receipts", _HALF), "ID_INVALID", "a plan_id has"),
    (("ledger", "receipts", "p", "b3:\udcff"), "FIELD_INVALID", "the id of a receipt is no text"),
    (("ledger", "export", _HALF), "ID_INVALID", "a plan_id has"),
    (("ledger", "verify", _HALF), "FIELD_INVALID", _NO_TEXT),
    (("ledger", "prune", _HALF, "--yes"), "FIELD_INVALID", _NO_TEXT),
    (("ledger", "prune", "p", "--to", _BEYOND, "--yes"), "USAGE", _NO_NUMBER),
    (("verify", _HALF), "ID_INVALID", "a plan_id has"),
    (("plan", "budget", "p", "--add", "NaN"), "MONEY_INVALID", "an amount in dollars"),
    (("plan", "budget", "p", "--add", "1e3"), "MONEY_INVALID", "an amount in dollars"),
    (("plan", "budget", "p", "--add", "0.0000001"), "MONEY_INVALID", "an amount in dollars"),
    (("plan", "budget", "p", "--add", "\u0661"), "MONEY_INVALID", "an amount in dollars"),
)
FILES: Mapping[str, tuple[bytes, str]] = {
    "empty": (b"", "Expecting value"),
    "nan": (b'{"a":NaN}', "JSON has no infinity and no NaN"),
    "float": (b'{"media_type":1.0}', "this is no receipt file, or one of another version"),
    "twice": (b'{"a":1,"a":1}', "a key occurs twice in one object"),
    "half": (b'{"a":"\\ud800"}', "half a surrogate pair"),
    "deep": (b"[" * 100_000, "nest deeper than 64"),
    "bytes": (b"\xff\xfe\x00", "the text is not UTF-8"),
    "list": (b"[]", "an object is expected"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def command(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[CommandLine]:
    """The command, and a chain of events that are hard to show."""
    home = tmp_path_factory.mktemp("h")
    home.chmod(0o700)
    async with embedded(home), command_line(home, tmp_path_factory.mktemp("w")) as line:
        token = ServiceKeys.load_or_create(home).token_of(Role.RESOURCES)
        async with connect(f"unix://{home}/theory.sock", token=token) as channel:
            ledger = LedgerClient(channel)
            for at, body in enumerate(BODIES):
                event = NewEvent(f"kv/{at}", "scratch.kv.changed", "2026-01-02T00:00:00.000000Z", body)
                await ledger.append(PlanEvent(CHAIN, event))
        yield line


@pytest.mark.parametrize(("arguments", "reason", "words"), REFUSED)
async def test_what_cannot_be_is_refused_with_a_reason(
    command: CommandLine, arguments: Sequence[str], reason: str, words: str
) -> None:
    ended = await command("--json", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.error["reason"] == reason
    assert words in ended.error["message"]


@pytest.mark.parametrize("name", FILES)
async def test_a_file_that_is_no_receipt_is_a_fault(command: CommandLine, name: str) -> None:
    data, words = FILES[name]
    await asyncio.to_thread((command.folder / f"{name}.json").write_bytes, data)
    ended = await command("verify", f"{name}.json")
    assert ended.code == 4
    assert f"{name}.json: RECEIPT_FILE_INVALID" in ended.out
    assert words in ended.out


async def test_a_file_that_is_too_large_is_not_read(command: CommandLine) -> None:
    with (command.folder / "large.json").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    ended = await command("verify", "large.json")
    assert ended.code == 4
    assert f"a receipt has at most {MAX_FILE_BYTES} bytes" in ended.out


async def test_strange_events_are_told_exactly_to_programs(command: CommandLine) -> None:
    shown = [(await command("--json", "ledger", "show", CHAIN, str(seq))).document for seq in (1, 2, 3)]
    assert [each["body"] for each in shown] == list(BODIES)


@pytest.mark.parametrize("arguments", [("tail", CHAIN), *(("show", CHAIN, str(seq)) for seq in (1, 2, 3))])
async def test_strange_events_do_nothing_to_a_terminal(command: CommandLine, arguments: Sequence[str]) -> None:
    ended = await command("ledger", *arguments)
    assert ended.code == 0
    hostile = {each for each in ended.out if each != "\n" and not each.isprintable()}
    assert hostile == set()


async def test_a_chain_of_strange_events_verifies(command: CommandLine) -> None:
    assert (await command("ledger", "verify", CHAIN)).code == 0
    assert (await command("verify", CHAIN)).code == 0
