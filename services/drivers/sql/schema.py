"""The tables of a database: made where they are missing, by one process at a time, and never by an older program."""

from sqlalchemy import Column, Connection, Integer, MetaData, Table, insert, select, update

from theory.core.errors import NotReady

LOCK = "schema"
"""What every transaction that makes tables locks."""

_VERSION = Table("schema_version", MetaData(), Column("version", Integer, nullable=False))


def make(connection: Connection, metadata: MetaData) -> None:
    """Make the tables of `metadata`, in a transaction that holds `LOCK`.

    `metadata.info["version"]` (default 1) numbers the schema of the whole database; `NotReady` (`SCHEMA_NEWER`) where
    it has a newer one.
    """
    known = int(metadata.info.get("version", 1))
    _VERSION.create(connection, checkfirst=True)
    found = connection.scalar(select(_VERSION.c.version))
    if found is None:
        connection.execute(insert(_VERSION).values(version=known))
    elif found > known:
        message = f"the store has schema {found}, this program knows {known}: run a newer one"
        raise NotReady("SCHEMA_NEWER", message, found=str(found), known=str(known))
    metadata.create_all(connection)
    for table in metadata.sorted_tables:
        for index in table.indexes:
            index.create(connection, checkfirst=True)  # of a table that an older program made
    connection.execute(update(_VERSION).values(version=known))
