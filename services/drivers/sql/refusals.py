"""Triggers by which a database itself refuses to change or to forget, whoever asks: said by migrations."""

from alembic import op

UPDATE, DELETE, TRUNCATE = "update", "delete", "truncate"
DEEDS = (UPDATE, DELETE, TRUNCATE)


def refuse(table: str, deed: str, *, unless: str = "") -> None:
    """Let no `deed` be done to a row of `table`, or none but an update for which `unless` holds of OLD and NEW.

    Where the table refuses it already, this is what it refuses from now on. SQLite knows no TRUNCATE.
    """
    name = f"{table}_refuses_{deed}"
    when = f"WHEN (NOT ({unless}))" if unless else ""
    if op.get_context().dialect.name == "sqlite":
        if deed != TRUNCATE:
            op.execute(f"DROP TRIGGER IF EXISTS {name}")
            op.execute(
                f"CREATE TRIGGER {name} BEFORE {deed} ON {table} {when}"
                f" BEGIN SELECT RAISE(ABORT, '{_sentence(table)}'); END"
            )
        return
    op.execute(
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{_sentence(table)}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    each = "FOR EACH ROW" if unless else "FOR EACH STATEMENT"
    op.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")
    op.execute(f"CREATE TRIGGER {name} BEFORE {deed} ON {table} {each} {when} EXECUTE FUNCTION {name}()")


def _sentence(table: str) -> str:
    return f"{'an' if table[0] in 'aeiou' else 'a'} {table} is kept as it is"
