"""The operating system's refusals in our words."""

import errno
import os

import pytest

from services.executor.adapters.places.faults import translated
from theory.core.errors import Exhausted, Unavailable


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_exhausted(code: int) -> None:
    with pytest.raises(Exhausted) as caught, translated():
        raise OSError(code, os.strerror(code), "/somewhere/secret")
    assert caught.value.reason == "DISK_FULL"


def test_anything_else_is_unavailable_and_names_no_path() -> None:
    with pytest.raises(Unavailable) as caught, translated():
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), "/somewhere/secret")
    assert caught.value.reason == "STORE_UNREACHABLE"
    assert "secret" not in caught.value.message
