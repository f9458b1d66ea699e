"""A value that asks for more than plain data never gets it; a client that would give it is never used."""

import pickle
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

import pytest

from services.drivers import modal_guard
from theory.core.errors import TheoryError

_done: list[str] = []


def _deed(name: str) -> str:
    _done.append(name)
    return name


class Hostile:
    """A program in the clothes of a value."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __reduce__(self) -> tuple[object, ...]:
        return _deed, (self._name,)


@pytest.fixture
def serialization() -> ModuleType:
    """The library's module, as it is before anybody guards it."""
    file = import_module("modal._serialization").__file__
    assert file is not None
    spec = spec_from_file_location("modal._serialization_unguarded", file)
    assert spec is not None
    assert spec.loader is not None
    made = module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_an_unguarded_client_runs_what_it_reads(serialization: ModuleType) -> None:
    serialization.deserialize(pickle.dumps(Hostile("unguarded")), None)
    assert "unguarded" in _done


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_guarded_one_refuses(serialization: ModuleType, protocol: int) -> None:
    modal_guard.install(serialization)
    for value in (Hostile("guarded"), [Hostile("guarded")], {"a": (b"", Hostile("guarded"))}, _deed, Hostile):
        with pytest.raises(Exception, match="deserializing") as caught:
            serialization.deserialize(pickle.dumps(value, protocol), None)
        assert isinstance(caught.value.__cause__, modal_guard.PickleRefused)
    assert "guarded" not in _done


def test_plain_data_passes(serialization: ModuleType) -> None:
    modal_guard.install(serialization)
    for value in (b"\x00" * 1000, "\u00e9", 1, None, [b"a", {"b": (1.5, True)}]):
        assert serialization.deserialize(serialization.serialize(value), None) == value


def test_the_guard_is_proven_before_it_is_relied_upon(serialization: ModuleType) -> None:
    with pytest.raises(TheoryError, match="does not fit"):
        modal_guard.verify(serialization)
    modal_guard.install(serialization)
    modal_guard.verify(serialization)


def test_a_client_that_unpickles_elsewhere_is_not_used(serialization: ModuleType) -> None:
    modal_guard.install(serialization)
    vars(serialization)["deserialize"] = lambda data, client: pickle.loads(data)
    with pytest.raises(TheoryError, match="does not fit"):
        modal_guard.verify(serialization)


def test_a_guard_that_refuses_everything_is_none(serialization: ModuleType) -> None:
    modal_guard.install(serialization)

    def deserialize(data: bytes, client: object) -> object:
        raise modal_guard.PickleRefused

    vars(serialization)["deserialize"] = deserialize
    with pytest.raises(TheoryError, match="plain"):
        modal_guard.verify(serialization)
