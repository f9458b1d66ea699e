"""What the owner of a database does for a service that owns nothing: migrate its tables, and grant it what it needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, MetaData, text

from services.drivers.sql import Database
from services.drivers.sql.schema import LOCK, Part, make, parts_of, revision_of
from theory.core.errors import Invalid
from theory.core.secret import Secret

RIGHTS = "rights"
"""Under this name a table's `info` holds what its service may do with it, as SQL says it."""
ALL = "SELECT, INSERT, UPDATE, DELETE"


@dataclass(frozen=True)
class Located:
    """Tables of a service, and where they are."""

    url: str
    metadata: MetaData
    secret: Secret | None = None

    @property
    def migrated(self) -> bool:
        """Whether there is a database that outlives the process."""
        return self.url.startswith(("sqlite:", "postgresql:"))


class Step(NamedTuple):
    """What became of one part."""

    part: str
    before: str | None
    after: str


async def migrate(located: Located, role: str | None = None) -> Sequence[Step]:
    """Bring tables to what this program knows, and let `role` do with them what their service needs, and no more.

    Errors as `Database.open`; `Invalid` (`FIELD_INVALID`) for a role where there are no roles.
    """
    if role is not None and not located.url.startswith("postgresql:"):
        raise Invalid("FIELD_INVALID", "only Postgres has roles: leave --grant out", field="grant")
    database = await Database.open(located.url, MetaData(), durable=True, secret=located.secret)
    try:
        return await database.write(lambda connection: _migrate(connection, located.metadata, role), locks=[LOCK])
    finally:
        await database.close()


def _migrate(connection: Connection, metadata: MetaData, role: str | None) -> list[Step]:
    parts = parts_of(metadata)
    before = [revision_of(connection, each) for each in parts]
    make(connection, metadata)
    if role is not None:
        _grant(connection, metadata, parts, connection.dialect.identifier_preparer.quote(role))
    return [Step(each.name, was, each.head) for each, was in zip(parts, before, strict=True)]


def _grant(connection: Connection, metadata: MetaData, parts: Sequence[Part], role: str) -> None:
    # What was granted before, by hand or by an older program, goes first.
    quoted = connection.dialect.identifier_preparer.quote
    for table in metadata.sorted_tables:
        connection.execute(text(f"REVOKE ALL ON {quoted(table.name)} FROM {role}"))
        connection.execute(text(f"GRANT {table.info.get(RIGHTS, ALL)} ON {quoted(table.name)} TO {role}"))
        if (numbered := table.autoincrement_column) is not None:
            names = {"table": table.name, "column": numbered.name}
            sequence = connection.scalar(text("SELECT pg_get_serial_sequence(:table, :column)"), names)
            connection.execute(text(f"GRANT USAGE ON SEQUENCE {sequence} TO {role}"))
    for part in parts:
        connection.execute(text(f"REVOKE ALL ON {part.version_table} FROM {role}"))
        connection.execute(text(f"GRANT SELECT ON {part.version_table} TO {role}"))
