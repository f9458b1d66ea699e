"""Secrets of Modal by reference: which are there, what it costs to know, and that no value is ever seen."""

from collections.abc import AsyncIterator, Iterator

import pytest
from grpclib import Status

from services.resources.secrets.adapters import open_source
from services.resources.secrets.ports import SecretBinder
from tests.fakes.modal import FakeModal, Fault
from tests.fakes.modal.replicas import replica, url_of
from theory.core.adapters import SecretReference
from theory.core.errors import Invalid, NotReady


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeModal]:
    with FakeModal() as made:
        made.keep_secret("keys", {"A": "canary", "B": "canary", "C": "canary"})
        yield made


@pytest.fixture
async def binder(fake: FakeModal) -> AsyncIterator[SecretBinder]:
    async with replica() as opening:
        source = await open_source(url_of(fake, "&object=keys"), opening)
        assert (source.kind, source.reader) == ("modal", None)
        assert source.binder is not None
        yield source.binder


async def test_keys_that_are_there_are_bound_by_one_call(fake: FakeModal, binder: SecretBinder) -> None:
    since = len(fake.hub.calls)
    found = await binder.bind(["A", "B", "A"])
    assert found == {"A": SecretReference("keys", "A"), "B": SecretReference("keys", "B")}
    assert "canary" not in repr(found)
    assert fake.hub.counts(since) == {"SecretGetOrCreate": 1}


async def test_those_that_are_missing_are_found_out(binder: SecretBinder) -> None:
    assert set(await binder.bind(["A", "X", "C", "Y"])) == {"A", "C"}
    assert await binder.bind(["X"]) == {}


async def test_a_server_that_calls_a_missing_key_invalid_is_understood(fake: FakeModal, binder: SecretBinder) -> None:
    fake.call(lambda: fake.hub.faults.arm(Fault("SecretGetOrCreate", "before", Status.INVALID_ARGUMENT)))
    assert await binder.bind(["X"]) == {}


async def test_where_there_is_no_such_object_there_is_no_secret(fake: FakeModal) -> None:
    async with replica() as opening:
        source = await open_source(url_of(fake), opening)
        assert source.binder is not None
        since = len(fake.hub.calls)
        assert await source.binder.bind(["A", "B"]) == {}
        assert fake.hub.counts(since) == {"SecretGetOrCreate": 2}


async def test_a_refusal_is_no_absence(fake: FakeModal, binder: SecretBinder) -> None:
    fake.call(lambda: fake.hub.faults.arm(Fault("SecretGetOrCreate", "before", Status.PERMISSION_DENIED)))
    with pytest.raises(NotReady):
        await binder.bind(["A"])


async def test_an_object_has_a_name_that_modal_takes(fake: FakeModal) -> None:
    async with replica() as opening:
        for name in ("", "a b", "a" * 65, "%2F"):
            with pytest.raises(Invalid):
                await open_source(url_of(fake, f"&object={name}"), opening)
