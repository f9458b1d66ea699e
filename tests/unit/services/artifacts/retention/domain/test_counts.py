"""Counters have names that a scrape takes, and say what they count."""

import re

from services.artifacts.retention.domain.counts import HELP_BY_NAME


def test_every_counter_has_a_name_of_the_service_and_a_sentence() -> None:
    assert all(re.fullmatch(r"theory_artifacts_[a-z_]+", name) for name in HELP_BY_NAME)
    assert all(what.endswith(".") for what in HELP_BY_NAME.values())
