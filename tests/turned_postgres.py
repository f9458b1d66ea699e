"""A clock that tests turn by hand, in a Postgres database: there the server's time counts."""

import psycopg

from theory.core.clock import FakeClock

# `pg_catalog` is searched first unless the path names it: behind our schema, our function is the one that is found.
_INSTALL = """
CREATE SCHEMA turned;
CREATE TABLE turned.clock (now timestamptz NOT NULL);
INSERT INTO turned.clock VALUES (%s);
CREATE FUNCTION turned.clock_timestamp() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT now FROM turned.clock';
"""
_CHOOSE = "ALTER DATABASE {} SET search_path = turned, public, pg_catalog"


class TurnedPostgres(FakeClock):
    """Turns the clock of a database that nobody has connected to yet, and its own."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._connection = psycopg.connect(url, autocommit=True)
        for statement in filter(str.strip, _INSTALL.split(";\n")):
            parameters = [self.now()] if "%s" in statement else None
            self._connection.execute(statement.encode(), parameters)
        name = psycopg.sql.Identifier(self._connection.info.dbname)
        self._connection.execute(psycopg.sql.SQL(_CHOOSE).format(name))

    def advance(self, s: float) -> None:
        super().advance(s)
        self._connection.execute("UPDATE turned.clock SET now = %s", [self.now()])

    def close(self) -> None:
        self._connection.close()
