"""How a test says which error it expects."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from theory.core.errors import TheoryError


@contextmanager
def refused(kind: type[TheoryError], reason: str, /, **metadata: str) -> Iterator[pytest.ExceptionInfo[TheoryError]]:
    """The block raises exactly `kind` with `reason`, and with these metadata among its own."""
    with pytest.raises(kind) as caught:
        yield caught
    error = caught.value
    assert (type(error), error.reason) == (kind, reason)
    assert {key: error.metadata.get(key) for key in metadata} == metadata
    assert error.message
    assert all(isinstance(value, str) for value in error.metadata.values())
