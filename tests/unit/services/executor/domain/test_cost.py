"""The tests of services/executor/domain/cost.py."""

from datetime import UTC, datetime, timedelta

import pytest

from services.executor.domain.cost import cost_usd_micro
from theory.core.errors import Invalid
from theory.core.spec import PolicyDoc, ProcessorSpec

_START = datetime(2026, 1, 1, tzinfo=UTC)


def _policy(cpu: int, memory: int) -> PolicyDoc:
    rates = {"usd_micro_per_cpu_s": cpu, "usd_micro_per_gb_s": memory}
    return PolicyDoc.parse({"id": "default@1", "budget": {"max_usd_micro": 1_000_000}, "rates": rates})


def _processor() -> ProcessorSpec:
    return ProcessorSpec.parse(
        {
            "ref": "media/probe@1",
            "name": "Probe",
            "image": {"build": {"context": "processors/media_probe"}},
            "runtime": {"cpu": 2, "memory_gb": 4, "timeout_s": 60},
            "outputs": {"writes": [{"prefix": "/artifacts/outputs/"}]},
        }
    )


def test_what_was_held_costs_its_rates() -> None:
    assert cost_usd_micro(_policy(10, 3), _processor(), _START, _START + timedelta(seconds=5)) == 5 * (2 * 10 + 4 * 3)


def test_a_fraction_of_a_micro_dollar_is_rounded_up() -> None:
    assert cost_usd_micro(_policy(1, 0), _processor(), _START, _START + timedelta(microseconds=1)) == 1


def test_what_the_processor_reports_is_added() -> None:
    assert cost_usd_micro(_policy(0, 0), _processor(), _START, _START + timedelta(seconds=5), 42) == 42


def test_a_clock_that_went_back_costs_nothing() -> None:
    assert cost_usd_micro(_policy(10, 10), _processor(), _START, _START - timedelta(seconds=5)) == 0


def test_a_cost_beyond_its_column_is_refused() -> None:
    with pytest.raises(Invalid):
        cost_usd_micro(_policy(0, 0), _processor(), _START, _START, 2**63)
