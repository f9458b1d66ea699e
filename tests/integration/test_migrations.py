"""The tables of every service: what migrations make is what its code says, for files and servers, old and new."""

import asyncio
import os
import re
import signal
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, MetaData, inspect, text

from services.artifacts.assembly import databases as of_artifacts
from services.artifacts.config import ArtifactsConfig
from services.drivers.sql import Database
from services.drivers.sql.owner import Located, migrate
from services.drivers.sql.schema import parts_of, revision_of
from services.executor.assembly import databases as of_executor
from services.executor.config import ExecutorConfig
from services.ledger.assembly import assemble
from services.ledger.assembly import databases as of_ledger
from services.ledger.config import LedgerConfig
from services.registry.assembly import databases as of_registry
from services.registry.config import RegistryConfig
from services.resources.assembly import databases as of_resources
from services.resources.config import ResourcesConfig
from tests.backends import require
from tests.servers import Postgres
from theory.core.errors import TheoryError
from theory.testing.case import Target
from theory.testing.primitives import cases_of
from theory.testing.report import Outcome
from theory.testing.runner import run
from theory.wire.server import running

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
HOME = Path("nowhere")
TABLES: Sequence[MetaData] = [
    located.metadata
    for located in (
        *of_ledger(LedgerConfig.load({"home": HOME})),
        *of_registry(RegistryConfig.load({"home": HOME})),
        *of_artifacts(ArtifactsConfig.load({"home": HOME})),
        *of_resources(ResourcesConfig.load({"home": HOME})),
        *of_executor(ExecutorConfig.load({"home": HOME})),
    )
]
[LEDGER] = [each for each in TABLES if parts_of(each)[0].name == "ledger"]
ON_POSTGRES = [each for each in TABLES if parts_of(each)[0].name in {"ledger", "streams", "kv", "queue"}]


def _name(metadata: MetaData) -> str:
    return "+".join(each.name for each in parts_of(metadata))


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    require("postgres", server.missing())
    with server:
        yield server


@pytest.fixture
def fresh(postgres: Postgres) -> str:
    """The address of an empty database."""
    return postgres.database(f"fresh_{os.urandom(4).hex()}")


def _role(postgres: Postgres) -> str:
    """A role that owns nothing."""
    name = f"role_{os.urandom(4).hex()}"
    with psycopg.connect(postgres.url, autocommit=True) as one:
        one.execute(psycopg.sql.SQL("CREATE ROLE {} LOGIN").format(psycopg.sql.Identifier(name)))
    return name


def _differences(connection: Connection, metadata: MetaData) -> list[object]:
    tables = set(metadata.tables)
    context = MigrationContext.configure(
        connection,
        opts={"compare_type": True, "include_name": lambda name, kind, _: kind != "table" or name in tables},
    )
    return list(compare_metadata(context, metadata))


def _texts(connection: Connection) -> dict[str, tuple[str, list[str]]]:
    """What SQLite says that tables and indexes are; in which order a table is UNIQUE does not matter."""
    rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND type != 'trigger'"))
    kept = {name: " ".join(sql.split()) for name, sql in rows if not name.startswith(("alembic_version", "sqlite_"))}
    plain = {name: re.sub(r"IF NOT EXISTS |CONSTRAINT \w+ ", "", sql) for name, sql in kept.items()}
    unique = re.compile(r", UNIQUE \([^)]*\)")
    return {name: (unique.sub("", sql), sorted(unique.findall(sql))) for name, sql in plain.items()}


@pytest.mark.parametrize("metadata", TABLES, ids=_name)
async def test_a_migrated_file_is_what_the_code_says(metadata: MetaData, tmp_path: Path) -> None:
    migrated = await Database.open(f"sqlite:///{tmp_path}/a.db", metadata, durable=False)
    made = await Database.open(f"sqlite:///{tmp_path}/b.db", MetaData(), durable=False)
    await made.write(metadata.create_all)
    assert await migrated.read(_texts) == await made.read(_texts)
    assert await migrated.read(lambda connection: _differences(connection, metadata)) == []
    await migrated.close()
    await made.close()


@pytest.mark.parametrize("metadata", ON_POSTGRES, ids=_name)
async def test_a_migrated_server_is_what_the_code_says(metadata: MetaData, fresh: str) -> None:
    migrated = await Database.open(fresh, metadata, durable=False)
    assert await migrated.read(lambda connection: _differences(connection, metadata)) == []
    await migrated.close()


@pytest.mark.parametrize("metadata", TABLES, ids=_name)
async def test_a_file_from_before_there_were_migrations_is_taken_over_with_its_rows(
    metadata: MetaData, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    older = await Database.open(url, MetaData(), durable=False)
    await older.write(partial(_first_steps, metadata))
    await older.close()
    taken = await Database.open(url, metadata, durable=False)

    def heads(connection: Connection) -> list[tuple[str | None, str]]:
        return [(revision_of(connection, each), each.head) for each in parts_of(metadata)]

    assert all(found == head for found, head in await taken.read(heads))
    assert await taken.read(lambda connection: _differences(connection, metadata)) == []
    await taken.close()


def _first_steps(metadata: MetaData, connection: Connection) -> None:
    """The tables as they were when nothing said how far they are."""
    with Operations.context(MigrationContext.configure(connection)):
        for part in parts_of(metadata):
            import_module(f"{'.'.join(part.folder.relative_to(ROOT).parts)}.r0001_baseline").upgrade()


async def test_replicas_that_start_at_once_migrate_once(fresh: str) -> None:
    opened = await asyncio.gather(*(Database.open(fresh, LEDGER, durable=False) for _ in range(4)))
    versions = await opened[0].read(
        lambda connection: connection.execute(text("SELECT * FROM alembic_version_ledger")).all()
    )
    assert len(versions) == 1
    for each in opened:
        await each.close()


_KILLED = """
import os, signal, sys
from pathlib import Path
import services.drivers.sql.schema as schema
from services.ledger.adapters.sql.schema import METADATA
from services.drivers.sql import Database
import asyncio
from alembic.migration import MigrationContext
stamp = MigrationContext.stamp
def stamped(self, script, revision):
    stamp(self, script, revision)
    if revision == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
MigrationContext.stamp = stamped
asyncio.run(Database.open(sys.argv[1], METADATA, durable=True))
"""


@pytest.mark.drill
@pytest.mark.parametrize("revision", ["r0001", "r0002"])
async def test_a_kill_in_the_middle_of_a_migration_leaves_all_as_it_was(revision: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _KILLED, url, revision, cwd=ROOT)
    assert await process.wait() == -signal.SIGKILL
    with sqlite3.connect(tmp_path / "a.db") as left:
        assert left.execute("SELECT name FROM sqlite_master").fetchall() == []
    left.close()
    opened = await Database.open(url, LEDGER, durable=True)
    assert await opened.read(lambda connection: inspect(connection).has_table("event"))
    await opened.close()


async def test_the_verb_migrates_grants_and_says_what_it_did(fresh: str, postgres: Postgres, tmp_path: Path) -> None:
    """And then the service works as a role that owns nothing, whom the database lets change nothing that is kept."""
    role = _role(postgres)
    asked = {"THEORY_HOME": str(tmp_path), "THEORY_LEDGER_DATABASE_URL": fresh}
    ended = await _verb("ledger", asked, "migrate", "--grant", role)
    assert ended == (0, "ledger: r0002, from nothing\n", "")
    assert (await _verb("ledger", asked, "migrate"))[1] == "ledger: r0002, up to date\n"
    code, _, error = await _verb("ledger", {"THEORY_HOME": str(tmp_path)}, "migrate", "--grant", role)
    assert (code, "only Postgres has roles" in error) == (1, True)

    teller = fresh.replace("//postgres@", f"//{role}@")
    unit = await assemble(LedgerConfig.load({"home": tmp_path, "database_url": teller}))
    async with running([unit]) as server:
        report = await run(cases_of("ledger"), Target(server.channel), at_once=4)
    assert report.ok, [each for each in report.verdicts if each.outcome is Outcome.BROKEN]
    opened = await Database.open(teller, LEDGER, durable=False)
    for deed in (
        *("DELETE FROM event", "TRUNCATE event", "UPDATE event SET kind = 'a.b'", "DELETE FROM receipt"),
        *("UPDATE receipt SET epoch = 1", "DROP TRIGGER event_refuses_update ON event", "DROP TABLE event"),
        *("ALTER TABLE event DISABLE TRIGGER ALL", "UPDATE alembic_version_ledger SET version_num = 'r0001'"),
        *("SET session_replication_role = replica", "CREATE TABLE mine (a int)"),
    ):
        with pytest.raises(TheoryError) as caught:
            await opened.write(partial(_do, deed))
        assert caught.value.reason == "STORE_DENIED", deed
    await opened.close()


def _do(deed: str, connection: Connection) -> None:
    connection.execute(text(deed))


async def test_a_role_that_owns_nothing_is_told_to_have_the_owner_migrate(fresh: str, postgres: Postgres) -> None:
    with pytest.raises(TheoryError) as caught:
        await Database.open(fresh.replace("//postgres@", f"//{_role(postgres)}@"), LEDGER, durable=False)
    assert (caught.value.reason, caught.value.metadata["part"]) == ("SCHEMA_OLDER", "ledger")


async def test_a_database_without_roles_is_migrated_all_the_same(tmp_path: Path) -> None:
    located = Located(
        f"sqlite:///{tmp_path}/a.db", next(each for each in TABLES if _name(each).startswith("outbox+kv"))
    )
    assert [(each.part, each.before) for each in await migrate(located)] == [("outbox", None), ("kv", None)]
    assert all(each.before == each.after for each in await migrate(located))


async def _verb(service: str, settings: dict[str, str], *arguments: str) -> tuple[int | None, str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("THEORY_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"services.{service}", *arguments),
        cwd=ROOT,
        env=environment | settings,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    return process.returncode, out.decode(), error.decode()
