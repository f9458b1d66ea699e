"""Tags of secrets, and names that are none."""

from collections.abc import Mapping, Sequence

import pytest
from blake3 import blake3

from services.resources.secrets.domain import Secrets
from services.resources.secrets.ports import SecretSource
from theory.core.adapters import SecretReference
from theory.core.errors import Invalid, NotFound, Unsupported
from theory.core.secret import Secret

KEY = b"k" * 32


class Values:
    """A reader of what a test says."""

    def __init__(self, **values: str) -> None:
        self.values = values

    async def read(self, names: Sequence[str]) -> Mapping[str, Secret]:
        return {name: Secret(name, self.values[name]) for name in names if name in self.values}


def secrets_of(key: bytes = KEY, **values: str) -> Secrets:
    return Secrets(SecretSource("values", reader=Values(**values)), key=key)


class References:
    """A binder that knows two names."""

    async def bind(self, names: Sequence[str]) -> Mapping[str, SecretReference]:
        return {name: SecretReference("store", name) for name in names if name in {"A", "B"}}


async def tag(key: bytes = KEY, **value: str) -> str:
    [found] = await secrets_of(key, **value).check([*value])
    assert isinstance(found, str)
    return found


async def test_a_tag_changes_with_the_value_the_name_and_the_key_and_with_nothing_else() -> None:
    tags = [await tag(A="one"), await tag(A="two"), await tag(B="one"), await tag(b"l" * 32, A="one")]
    assert len(set(tags)) == 4
    assert await tag(A="one") == tags[0]


async def test_a_tag_is_no_hash_that_others_can_make() -> None:
    made = await tag(A="one")
    assert made not in {blake3(text, key=KEY).hexdigest() for text in (b"one", b"A\0one", b"Aone")}
    assert made not in {blake3(text).hexdigest() for text in (b"one", b"A\0one", b"Aone")}


async def test_names_and_values_do_not_run_together() -> None:
    assert await tag(AB="C") != await tag(A="BC")


@pytest.mark.parametrize("name", ["", "1", "A-B", "A B", "A\n", "\u00c4", "A" * 129])
async def test_a_malformed_name_is_refused(name: str) -> None:
    secrets = secrets_of()
    for [answer] in (await secrets.check([name]), await secrets.resolve([name])):
        assert isinstance(answer, Invalid)
        assert answer.reason == "SECRET_NAME_INVALID"


async def test_answers_stand_where_their_names_do() -> None:
    bad, good, gone, again = await secrets_of(A="one").resolve(["1", "A", "B", "A"])
    assert isinstance(bad, Invalid)
    assert isinstance(gone, NotFound)
    assert gone.metadata == {"names": "B"}
    assert good == again == Secret("A", "one")


@pytest.mark.parametrize("count", [0, 101])
async def test_a_batch_has_a_size(count: int) -> None:
    with pytest.raises(Invalid) as raised:
        await secrets_of().check(["A"] * count)
    assert (raised.value.reason, raised.value.metadata) == ("BATCH_SIZE", {"max": "100"})


async def test_what_only_a_runtime_can_inject_has_an_empty_tag_and_no_value() -> None:
    secrets = Secrets(SecretSource("vault", binder=References()), key=KEY)
    known, unknown = await secrets.check(["A", "C"])
    assert known == ""
    assert isinstance(unknown, NotFound)
    assert await secrets.bind(["B"]) == [SecretReference("store", "B")]
    with pytest.raises(Unsupported):
        await secrets.resolve(["A"])


async def test_what_can_be_read_has_no_reference() -> None:
    with pytest.raises(Unsupported):
        await secrets_of(A="one").bind(["A"])
