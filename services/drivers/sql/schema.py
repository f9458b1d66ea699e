"""The tables of a database, brought from any earlier state to what this program knows, step by step (Alembic).

A *part* is what one adapter keeps; several parts may lie in one database. Each has migrations of its own, and a table
`alembic_version_<part>` that says which of them were done.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select
from sqlalchemy.exc import DBAPIError

from theory.core.errors import NotReady

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

LOCK = "schema"
"""What every transaction that makes tables locks."""

_PARTS = "parts"
_REVISION_CHARACTERS = 32
_NO_RIGHT = "42501"


@dataclass(frozen=True)
class Part:
    """A part of a service's database, and the folder of its migrations: one line, each behind the one before.

    A migration is `rNNNN_what.py`, and its revision is that name up to the first underscore.
    """

    name: str
    folder: Path

    @cached_property
    def head(self) -> str:
        """The newest revision that this program knows; found by names alone, without Alembic."""
        return max(path.name.partition("_")[0] for path in self.folder.glob("r[0-9]*_*.py"))

    @property
    def version_table(self) -> str:
        """Where the database says how far it is."""
        return f"alembic_version_{self.name}"


def declare(metadata: MetaData, parts: Iterable[Part]) -> MetaData:
    """Say which parts the tables of `metadata` are; they are then made by migrations alone."""
    known = {each.name: each for each in (*parts_of(metadata), *parts)}
    metadata.info[_PARTS] = tuple(known.values())
    return metadata


def parts_of(metadata: MetaData) -> Sequence[Part]:
    """The parts that were declared; tables of none are made as they are, and never changed."""
    found: Sequence[Part] = metadata.info.get(_PARTS, ())
    return found


def make(connection: Connection, metadata: MetaData) -> None:
    """Bring the tables of `metadata` to what this program knows, in a transaction that holds `LOCK`.

    All of it or nothing: what a kill interrupts is as it was. `NotReady`: `SCHEMA_NEWER` where a newer program was
    here, `SCHEMA_OLDER` where something is to be done and this connection has no right to.
    """
    parts = parts_of(metadata)
    if not parts:
        metadata.create_all(connection)
    for part in parts:
        if (found := revision_of(connection, part)) == part.head:
            continue
        try:
            _upgrade(connection, part)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _NO_RIGHT:
                raise
            message = "the tables are older than this program, and not its own: run its verb `migrate` as their owner"
            facts = {"part": part.name, "found": found or "", "known": part.head}
            raise NotReady("SCHEMA_OLDER", message, **facts) from error


def revision_of(connection: Connection, part: Part) -> str | None:
    """The last migration of a part that was done; None where there was none."""
    if not inspect(connection).has_table(part.version_table):
        return None
    table = Table(part.version_table, MetaData(), Column("version_num", String(_REVISION_CHARACTERS)))
    return connection.scalar(select(table.c.version_num))


def _upgrade(connection: Connection, part: Part) -> None:
    # Loaded where there is something to do: it costs a fifth of the time in which a service is ready.
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of its plugins
    from alembic.migration import MigrationContext  # noqa: PLC0415
    from alembic.operations import Operations  # noqa: PLC0415

    script = _script_of(part.folder)
    context = MigrationContext.configure(connection, opts={"version_table": part.version_table})
    found = context.get_current_revision()
    if found is not None and found not in {each.revision for each in script.walk_revisions()}:
        message = f"the store has been at {found} of {part.name}, this program knows {part.head}: run a newer one"
        raise NotReady("SCHEMA_NEWER", message, part=part.name, found=found, known=part.head)
    steps = [*script.iterate_revisions("head", found or "base")]
    with Operations.context(context):
        for step in reversed(steps):
            step.module.upgrade()
            context.stamp(script, step.revision)


@cache
def _script_of(folder: Path) -> "ScriptDirectory":
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    return ScriptDirectory(str(folder.parent), version_locations=[str(folder)])
