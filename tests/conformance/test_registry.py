"""Every store of documents keeps every promise, over a socket."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import grpc
import pytest

from services.ledger import assembly as ledger_assembly
from services.ledger.config import LedgerConfig
from services.registry.assembly import assemble
from services.registry.config import RegistryConfig
from tests.conformance.harness import Harness
from tests.conformance.held import Held
from theory.core.chain import Event
from theory.core.errors import AlreadyExists, Corrupt
from theory.core.jcs import JSON
from theory.core.refs import Ref, SpecKind
from theory.core.registry import Published, Spec, SpecDraft
from theory.sdk.ledger import LedgerClient
from theory.sdk.registry import RegistryClient
from theory.testing.case import Case
from theory.wire.identity import ServiceKeys
from theory.wire.server import running

PRIMITIVE = "registry"


def test_promise(adapter: str, case: Case, held: Held, harness: Harness) -> None:
    held.require(PRIMITIVE, adapter, case, harness)


@asynccontextmanager
async def served(home: Path, catalog: Path | None = None) -> AsyncIterator[grpc.aio.Channel]:
    """A registry over the file in `home`; where no ledger answers, its events wait."""
    unit = await assemble(RegistryConfig.load({"home": home, "catalog": catalog}))
    async with running([unit]) as server:
        yield server.channel()


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    (tmp_path / "catalog").mkdir()
    return tmp_path / "catalog"


def _schema(version: int = 1, **schema: JSON) -> SpecDraft:
    return SpecDraft(SpecKind.SCHEMAS, {"id": f"a@{version}", "schema": schema})


async def test_a_restart_changes_nothing(tmp_path: Path) -> None:
    async with served(tmp_path) as channel:
        client = RegistryClient(channel)
        before = [each async for each in client.list()]
        pinned = await client.create_snapshot([each.name for each in before])
    async with served(tmp_path) as channel:
        client = RegistryClient(channel)
        assert [each async for each in client.list()] == before
        assert await client.snapshot(pinned.snapshot_id) == pinned


async def test_a_changed_catalog_under_a_taken_ref_stops_the_start(tmp_path: Path, empty: Path) -> None:
    document = empty / "schemas" / "a.yaml"
    document.parent.mkdir()
    document.write_text("id: a@1\nschema: {type: object}\n", "utf-8")
    async with served(tmp_path, empty) as channel:
        stands = await RegistryClient(channel).get(SpecKind.SCHEMAS, Ref("a@1"))
    document.write_text("# the same, said otherwise\nschema:\n  type: object\nid: a@1\n", "utf-8")
    async with served(tmp_path, empty) as channel:
        assert await RegistryClient(channel).get(SpecKind.SCHEMAS, Ref("a@1")) == stands
    document.write_text("id: a@1\nschema: {type: array}\n", "utf-8")
    with pytest.raises(AlreadyExists, match=r"catalog/schemas/a\.yaml: .*raise its version"):
        await assemble(RegistryConfig.load({"home": tmp_path, "catalog": empty}))


async def test_two_registries_over_one_store_agree(tmp_path: Path, empty: Path) -> None:
    async with served(tmp_path, empty) as one, served(tmp_path, empty) as other:
        clients = [RegistryClient(one), RegistryClient(other)]
        drafts = [_schema(minimum=racer) for racer in range(8)]
        asked = [clients[racer % 2].publish_many([draft]) for racer, draft in enumerate(drafts)]
        answers = [answer for batch in await asyncio.gather(*asked) for answer in batch]
        assert sum(isinstance(each, Published) for each in answers) == 1
        found = [await each.get(SpecKind.SCHEMAS, Ref("a@1")) for each in clients]
        assert found[0] == found[1]
        pinned = await asyncio.gather(*(each.create_snapshot([found[0].name]) for each in clients))
        assert pinned[0] == pinned[1]


async def test_every_byte_of_a_stored_document_is_watched(tmp_path: Path, empty: Path) -> None:
    async with served(tmp_path, empty) as channel:
        client = RegistryClient(channel)
        name = (await client.publish(_schema())).spec.name
        with closing(_opened(tmp_path, "spec")) as store:
            for column in ("document", "digest", "create_time", "seal"):
                for _ in _damages(store, "spec", column):
                    assert isinstance((await client.get_many([name]))[0], Corrupt)
        assert isinstance((await client.get_many([name]))[0], Spec)


async def test_every_byte_of_a_stored_snapshot_is_watched(tmp_path: Path, empty: Path) -> None:
    async with served(tmp_path, empty) as channel:
        client = RegistryClient(channel)
        pinned = await client.create_snapshot([(await client.publish(_schema())).spec.name])
        with closing(_opened(tmp_path, "snapshot")) as store:
            for column in ("document", "digest"):
                for _ in _damages(store, "snapshot", column):
                    with pytest.raises(Corrupt):
                        await client.snapshot(pinned.snapshot_id)
        assert await client.snapshot(pinned.snapshot_id) == pinned


async def test_what_is_published_reaches_the_ledger_once(tmp_path: Path, empty: Path) -> None:
    async with served(tmp_path, empty) as channel:  # the ledger is away
        first = await RegistryClient(channel).publish(_schema())
    keys = ServiceKeys.load(tmp_path)
    url = f"unix://{tmp_path}/both.sock"
    config = RegistryConfig.load({"home": tmp_path, "catalog": empty, "ledger_url": url})
    units = [
        await ledger_assembly.assemble(LedgerConfig.load({"home": tmp_path, "database_url": "memory:"})),
        await assemble(config),
    ]
    async with running(units, url=url, keys=keys) as server:
        client, ledger = RegistryClient(server.channel()), LedgerClient(server.channel())
        second = await client.publish(_schema(2))
        await client.publish(_schema(2))
        events: list[Event] = []
        async with asyncio.timeout(30):
            while len(events) < 2:
                events = [event async for page in ledger.events("system.registry") for event in page.events]
        assert [each.kind for each in events] == ["registry.published"] * 2
        assert [each.body for each in events] == [
            {"ref": f"a@{version}", "kind": "schemas", "digest": each.spec.digest}
            for version, each in enumerate((first, second), start=1)
        ]


def _opened(home: Path, table: str) -> sqlite3.Connection:
    store = sqlite3.connect(home / "registry.db", isolation_level=None)
    store.execute(f"DROP TRIGGER {table}_refuses_update")
    return store


def _damages(store: sqlite3.Connection, table: str, column: str) -> Iterator[None]:
    """Flip one bit of every byte of a column, one after the other, and put it right again."""
    (kind, whole) = store.execute(f"SELECT typeof({column}), CAST({column} AS BLOB) FROM {table}").fetchone()
    put = f"UPDATE {table} SET {column} = CAST(? AS {kind.upper()})"
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        store.execute(put, [bytes(damaged)])
        yield
    store.execute(put, [whole])
