"""Replicas of a service that has the fake behind it: each with a connection, ids and knowledge of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.drivers.modal import Address, Connection, connect
from services.drivers.opening import Opening
from tests.fakes.modal.host import TOKEN, FakeModal
from tests.surroundings import Notes
from theory.core.clock import Clock, FakeClock
from theory.core.ids import SystemIds
from theory.core.secret import Secret


def url_of(fake: FakeModal, options: str = "") -> str:
    return f"modal://main?server={fake.url}{options}"


def token() -> Secret:
    return Secret("THEORY_TEST_MODAL", ":".join(TOKEN))


@asynccontextmanager
async def replica(clock: Clock | None = None, notes: Notes | None = None) -> AsyncIterator[Opening]:
    """What adapters are opened with; what they opened is closed with it."""
    clock, notes = clock or FakeClock(), notes or Notes()
    opening = Opening(clock, SystemIds(clock), notes.append, notes.emit, token())
    try:
        yield opening
    finally:
        await opening.close()


@asynccontextmanager
async def connected(fake: FakeModal) -> AsyncIterator[Connection]:
    """A connection alone."""
    connection = await connect(Address.parse(url_of(fake)), token())
    try:
        yield connection
    finally:
        await connection.close()
