"""What cases may need, in words."""

import re

from theory.api.resources.v1.kv_pb2 import KVFeature
from theory.api.resources.v1.queue_pb2 import QueueFeature
from theory.api.resources.v1.secret_pb2 import SecretFeature
from theory.testing.capabilities import CAPABILITIES, lacking
from theory.testing.primitives import MODULES_BY_PRIMITIVE, cases_of

_ASKED = {"LEDGER", "PEERS", "MOCK", "SMALL_QUOTAS", "SEEDED_SECRETS", "DATA_PLANE", "ATTEMPTS", "CLOCK"}


def _features() -> set[str]:
    names = [*KVFeature.keys(), *QueueFeature.keys(), *SecretFeature.keys()]
    return {re.sub(r"^(KV|QUEUE|SECRET)_FEATURE_", "", name) for name in names} - {"UNSPECIFIED"}


def test_every_feature_of_the_wire_has_its_words_and_nothing_else_has() -> None:
    assert set(CAPABILITIES) == _features() | _ASKED


def test_whatever_a_case_needs_has_its_words() -> None:
    needed = {name for primitive in MODULES_BY_PRIMITIVE for case in cases_of(primitive) for name in case.needs}
    assert needed <= set(CAPABILITIES)


def test_what_is_lacking_is_said_in_words_and_in_order() -> None:
    assert lacking({"STATS", "CLOCK"}) == (
        "needs CLOCK: the server's clock is turned by hand; needs STATS: the counts of a plan's topics are exact"
    )
    assert lacking({"OTHER"}) == "needs OTHER"


def test_words_are_no_sentences_of_their_own() -> None:
    assert all(not each.sentence.endswith(".") and each.source for each in CAPABILITIES.values())
