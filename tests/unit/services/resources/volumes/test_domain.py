"""Which names of volumes there are."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from services.resources.volumes.domain import Volumes
from theory.core.adapters import Volume
from theory.core.errors import Invalid

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Names:
    """A store that remembers names alone."""

    kind = "names"

    def __init__(self) -> None:
        self.names: set[str] = set()

    async def create(self, *, plan_id: str, name: str) -> Volume:
        self.names.add(name)
        return Volume(name, NOW)

    async def delete(self, *, plan_id: str, name: str) -> None:
        self.names.discard(name)

    async def list(self, *, plan_id: str) -> Sequence[Volume]:
        return [Volume(name, NOW) for name in sorted(self.names)]

    async def locate(self, *, plan_id: str, name: str) -> str:
        return f"{plan_id}/{name}"

    async def end_plan(self, plan_id: str) -> None:
        self.names.clear()


@pytest.mark.parametrize("name", ["a", "cache", "a-1", "a" * 40])
async def test_a_name_reaches_the_store(name: str) -> None:
    volumes = Volumes(Names())
    assert (await volumes.create(plan_id="p", name=name)).name == name
    assert await volumes.locate(plan_id="p", name=name) == f"p/{name}"
    assert [each.name for each in await volumes.list(plan_id="p")] == [name]
    await volumes.delete(plan_id="p", name=name)
    await volumes.end_plan("p")
    assert await volumes.list(plan_id="p") == []


@pytest.mark.parametrize("name", ["", "A", "1", "-a", "a/b", "..", "a" * 41, "a\n", "\u00e9", "a.b"])
async def test_what_is_no_name_does_not(name: str) -> None:
    names = Names()
    volumes = Volumes(names)
    for asked in (volumes.create, volumes.delete, volumes.locate):
        with pytest.raises(Invalid) as raised:
            await asked(plan_id="p", name=name)
        assert raised.value.reason == "VOLUME_NAME_INVALID"
    assert names.names == set()
