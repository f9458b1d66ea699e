"""What adapters share: made once, started together, closed in reverse."""

import pytest

from tests.surroundings import opening
from theory.core.errors import Unavailable
from theory.core.secret import Secret


class Part:
    def __init__(self, name: str, notes: list[str], *, broken: bool = False) -> None:
        self.name = name
        self.notes = notes
        self.broken = broken

    def start(self) -> None:
        self.notes.append(f"start {self.name}")

    async def ready(self) -> None:
        if self.broken:
            raise Unavailable("STORE_UNREACHABLE", "it does not answer")

    async def close(self) -> None:
        self.notes.append(f"close {self.name}")


async def test_a_key_is_made_once() -> None:
    notes: list[str] = []
    opened = opening()

    async def make() -> Part:
        notes.append("made")
        return Part("a", notes)

    first = await opened.share("a", make)
    assert await opened.with_secret(Secret("S", "x")).share("a", make) is first
    assert notes == ["made"]


async def test_parts_start_in_their_order_and_close_in_reverse() -> None:
    notes: list[str] = []
    opened = opening()
    for name in ("a", "b"):

        async def make(name: str = name) -> Part:
            return Part(name, notes)

        await opened.share(name, make)
    opened.start()
    await opened.ready()
    await opened.close()
    await opened.close()
    assert notes == ["start a", "start b", "close b", "close a"]


async def test_one_that_does_not_answer_makes_all_not_ready() -> None:
    opened = opening()

    async def make() -> Part:
        return Part("a", [], broken=True)

    await opened.share("a", make)
    with pytest.raises(Unavailable):
        await opened.ready()


def test_a_secret_belongs_to_one_address() -> None:
    opened = opening()
    secret = Secret("S", "x")
    assert (opened.with_secret(secret).secret, opened.secret) == (secret, None)
