"""Which program may make which tables."""

import pytest
from sqlalchemy import Column, MetaData, Table, Text, inspect, text

from services.drivers.sql import schema
from services.drivers.sqlite import Sqlite
from theory.core.errors import NotReady


def test_a_newer_program_numbers_the_schema_and_an_older_one_is_refused() -> None:
    session = Sqlite(None, durable=False).session(readonly=False)
    for version in (1, 3, 3):
        metadata = MetaData(info={"version": version})
        Table(f"of_{version}", metadata, Column("name", Text))
        schema.make(session.connection, metadata)
    assert session.connection.scalars(text("SELECT version FROM schema_version")).all() == [3]
    older = MetaData(info={"version": 2})
    Table("of_2", older, Column("name", Text))
    with pytest.raises(NotReady):
        schema.make(session.connection, older)
    assert inspect(session.connection).get_table_names() == ["of_1", "of_3", "schema_version"]
    session.close()
