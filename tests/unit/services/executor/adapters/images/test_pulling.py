"""The tests of services/executor/adapters/images/pulling.py: words as engines said them."""

import pytest

from services.executor.adapters.images.pulling import Cause, cause_of


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("manifest for 127.0.0.1:5000/a@sha256:0 not found: manifest unknown: manifest unknown", Cause.UNKNOWN),
        ("pull access denied for a, repository does not exist or may require 'docker login'", Cause.CREDENTIALS),
        ("Get http://127.0.0.1:5000/v2/a/manifests/sha256:0: no basic auth credentials", Cause.CREDENTIALS),
        ("failed: filesystem layer verification failed for digest sha256:0", Cause.DAMAGED),
        ("manifest verification failed for digest sha256:0", Cause.DAMAGED),
        ("Get http://127.0.0.1:9/v2/: dial tcp 127.0.0.1:9: connect: connection refused", Cause.AWAY),
        ("Get https://r.example/v2/: dial tcp: lookup r.example: no such host", Cause.AWAY),
        ("no space left on device", Cause.OTHER),
        ("", Cause.OTHER),
    ],
)
def test_an_engines_words_come_to_one_cause(words: str, cause: Cause) -> None:
    assert cause_of(words) is cause
    assert cause.sentence
