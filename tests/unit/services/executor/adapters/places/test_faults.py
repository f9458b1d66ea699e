"""The operating system's refusals in our words."""

import errno
import os

import pytest

from services.executor.adapters.places.faults import translated
from theory.core.errors import Corrupt, Exhausted, Unavailable


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_exhausted(code: int) -> None:
    with pytest.raises(Exhausted) as caught, translated():
        raise OSError(code, os.strerror(code), "/somewhere/secret")
    assert caught.value.reason == "DISK_FULL"


def test_what_may_pass_is_unavailable() -> None:
    with pytest.raises(Unavailable) as caught, translated():
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    assert caught.value.reason == "STORE_UNREACHABLE"


def test_what_does_not_pass_is_not_to_be_waited_for_and_names_no_path() -> None:
    with pytest.raises(Corrupt) as caught, translated():
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), "/somewhere/secret")
    assert caught.value.reason == "STORE_CORRUPT"
    assert "secret" not in caught.value.message
