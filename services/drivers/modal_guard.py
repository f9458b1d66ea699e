"""Nothing but plain data comes out of Modal: its client unpickles what it reads, and a pickle may be a program.

Values of a Dict and items of a Queue are pickles. Ours hold bytes and text alone, which need neither a class, nor a
function, nor an object of Modal: so all three are refused, for every reader of this process.
"""

import pickle
from types import ModuleType
from typing import NoReturn

from theory.core.errors import TheoryError

_PROBES = (
    b"cbuiltins\nlen\n(Vguard\ntR.",  # a function, called
    b"cbuiltins\nlen\n.",  # a function, for later
    b"\x80\x04(\x8c\x06di-xxx\x8c\x01oNtQ.",  # an object of Modal
)


class PickleRefused(pickle.UnpicklingError):
    """A value asked for more than plain data."""


def install(serialization: ModuleType) -> None:
    """Make the unpickler of `modal._serialization` refuse. It stays so for the life of the process."""
    unpickler = serialization.Unpickler
    unpickler.find_class = _find_class
    unpickler.persistent_load = _persistent_load


def verify(serialization: ModuleType) -> None:
    """Return if values that ask for more are refused and plain ones are not; raise otherwise.

    Called before the first read: a client that unpickles in another way than this one is never used.
    """
    if not all(_refused(serialization, probe) for probe in _PROBES):
        raise TheoryError("INTERNAL", "the guard against hostile pickles does not fit this version of the client")
    if not _passes(serialization, {"bytes": b"\x00\xff", "text": "\u00e9", "list": [b"1", None, 7]}):
        raise TheoryError("INTERNAL", "the guard against hostile pickles refuses plain data, too")


def _find_class(_: object, module: str, name: str) -> NoReturn:
    message = f"a value asks for {module}.{name}"
    raise PickleRefused(message)


def _persistent_load(_: object, __: object) -> NoReturn:
    message = "a value asks for an object of Modal"
    raise PickleRefused(message)


def _passes(serialization: ModuleType, plain: object) -> bool:
    try:
        return bool(serialization.deserialize(serialization.serialize(plain), None) == plain)
    except Exception:  # noqa: BLE001 - however it failed
        return False


def _refused(serialization: ModuleType, data: bytes) -> bool:
    try:
        serialization.deserialize(data, None)
    except Exception as error:  # noqa: BLE001 - only how it failed counts
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, PickleRefused):
                return True
            cause = cause.__cause__ or cause.__context__
    return False
