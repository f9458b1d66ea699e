"""Log lines and metrics."""

import json
import logging
import sys
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from theory.core.secret import Secret
from theory.wire.telemetry import CallMetrics, Counters, Durations, JsonFormatter, configure_logging, log


def _line(record: logging.LogRecord) -> dict[str, Any]:
    text = JsonFormatter().format(record)
    assert "\n" not in text
    line: dict[str, Any] = json.loads(text)
    return line


def test_a_line_names_its_event_and_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "theory")
    log(logging.getLogger("theory.x"), logging.INFO, "plan ended", plan_id="p-1", count=3)
    line = _line(caplog.records[0])
    ts = line.pop("ts")
    assert ts.endswith("Z")
    assert line == {"level": "info", "logger": "theory.x", "event": "plan ended", "plan_id": "p-1", "count": 3}


def test_fields_may_be_anything_and_a_secret_stays_one(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "theory")
    log(logging.getLogger("theory.x"), logging.INFO, "resolved", secret=Secret("TOKEN", "sk-1"), keys={1: "a"})
    line = _line(caplog.records[0])
    assert line["secret"] == "TOKEN"
    assert line["keys"] == {"1": "a"}


def test_an_exception_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise ValueError("a\nb")
    except ValueError:
        logging.getLogger("theory.x").exception("broke")
    assert "ValueError" in _line(caplog.records[0])["error"]


def test_below_the_level_nothing_is_made(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "theory")
    log(logging.getLogger("theory.x"), logging.INFO, "plan ended")
    assert caplog.records == []


def test_logs_go_to_stderr_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        configure_logging("debug")
        assert [each.stream for each in root.handlers if isinstance(each, logging.StreamHandler)] == [sys.stderr]
        logging.getLogger("theory.x").debug("said")
        logging.getLogger("grpc._cython").debug("chatter")
    finally:
        root.handlers, root.level = handlers, level
        logging.getLogger("grpc").setLevel(logging.NOTSET)
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "said"


def test_durations_are_cumulated_for_a_scrape() -> None:
    durations = Durations()
    for duration_s in (0.001, 0.002, 0.002, 700):
        durations.add(duration_s)
    cumulated = dict(durations.cumulated())
    assert (cumulated["0.001"], cumulated["0.0025"], cumulated["600"], cumulated["+Inf"]) == (1, 3, 3, 4)
    assert durations.sum_s == pytest.approx(700.005)


def test_metrics_have_the_names_that_grpc_gives_them() -> None:
    metrics = CallMetrics()
    registry = CollectorRegistry()
    registry.register(metrics)
    metrics.of("/a.B/C").started += 2
    metrics.of("/a.B/C").ended(grpc.StatusCode.OK, 0.003)
    text = generate_latest(registry).decode()
    assert 'grpc_server_call_started_total{grpc_method="a.B/C"} 2.0' in text
    assert 'grpc_server_call_duration_seconds_bucket{grpc_method="a.B/C",grpc_status="OK",le="0.005"} 1.0' in text
    assert 'grpc_server_call_duration_seconds_count{grpc_method="a.B/C",grpc_status="OK"} 1.0' in text


def test_what_a_service_does_by_itself_is_counted_by_name() -> None:
    counters = Counters()
    registry = CollectorRegistry()
    registry.register(counters)
    counters.add("theory_x_blobs", "Blobs.", 2)
    counters.add("theory_x_blobs", "Blobs.")
    assert "# HELP theory_x_blobs_total Blobs.\n" in generate_latest(registry).decode()
    assert "theory_x_blobs_total 3.0" in generate_latest(registry).decode()
