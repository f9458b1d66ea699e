"""What a server tells about itself: one JSON object per log line, and the metrics of its calls."""

import logging
import sys
from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

import grpc
import orjson
from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from theory.core.clock import rfc3339

_FIELDS = "theory_fields"
# What is left are the fields that rules and drivers, which know nothing of this module, give as `extra`.
_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {_FIELDS, "message", "asctime"}
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 600)


def log(logger: logging.Logger, level: int, event: str, /, **fields: object) -> None:
    """Write one line: the name of an event and its fields. Never a payload, a path of the host or a secret."""
    if logger.isEnabledFor(level):
        logger.log(level, event, extra={_FIELDS: fields})


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON: `ts`, `level`, `logger`, `event`, its fields, and `error` with the stack."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            "ts": rfc3339(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, _FIELDS, {}),
            **{name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD},
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def configure_logging(level: str = "INFO") -> None:
    """Send what every logger says, from `level` up, to stderr as JSON lines. For the mains of services, once."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("grpc").setLevel(logging.WARNING)  # its debugging is about itself


class MethodMetrics:
    """What is counted of one method. Plain integers: gRPC serves from one thread, and a scrape is rare."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.started = 0
        self.ended_by_code: dict[grpc.StatusCode, Durations] = {}

    def ended(self, code: grpc.StatusCode, duration_s: float) -> None:
        """Count a call that ended with `code` after `duration_s`."""
        durations = self.ended_by_code.get(code)
        if durations is None:
            durations = self.ended_by_code[code] = Durations()
        durations.add(duration_s)


class Durations:
    """A histogram of seconds."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(_BUCKETS_S) + 1)
        self.sum_s = 0.0

    def add(self, duration_s: float) -> None:
        """Count one."""
        self.counts[bisect_left(_BUCKETS_S, duration_s)] += 1
        self.sum_s += duration_s

    def cumulated(self) -> list[tuple[str, float]]:
        """As Prometheus wants it: for each bound, how many were not longer."""
        bounds = [*map(str, _BUCKETS_S), "+Inf"]
        return list(zip(bounds, map(float, accumulate(self.counts)), strict=True))


class CallMetrics(Collector):
    """The metrics of every method of a process, by the names that gRPC gives them (gRFC A66)."""

    def __init__(self) -> None:
        self._methods: dict[str, MethodMetrics] = {}

    def of(self, method: str) -> MethodMetrics:
        """The metrics of a method, the same for every server in this process."""
        name = method.removeprefix("/")
        return self._methods.setdefault(name, MethodMetrics(name))

    def collect(self) -> Iterator[Metric]:
        """What a scrape gets."""
        started = CounterMetricFamily("grpc_server_call_started", "Calls that began.", labels=["grpc_method"])
        duration = HistogramMetricFamily(
            "grpc_server_call_duration_seconds", "How long calls took.", labels=["grpc_method", "grpc_status"]
        )
        for name, method in self._methods.items():
            started.add_metric([name], method.started)
            for code, durations in method.ended_by_code.items():
                duration.add_metric([name, code.name], durations.cumulated(), durations.sum_s)
        yield started
        yield duration


class Counters(Collector):
    """Counters of what services do by themselves, by the names that a scrape gets them under, without `_total`."""

    def __init__(self) -> None:
        self._count_by_name: dict[str, int] = {}
        self._help_by_name: dict[str, str] = {}

    def add(self, name: str, what: str, by: int = 1) -> None:
        """Count `by` more of `what` the name stands for."""
        self._help_by_name[name] = what
        self._count_by_name[name] = self._count_by_name.get(name, 0) + by

    def collect(self) -> Iterator[Metric]:
        """What a scrape gets."""
        for name, count in self._count_by_name.items():
            yield CounterMetricFamily(name, self._help_by_name[name], value=count)


CALLS = CallMetrics()
"""The metrics of this process, registered with Prometheus's own registry."""
COUNTERS = Counters()
"""The counters of this process, registered there as well."""
REGISTRY.register(CALLS)
REGISTRY.register(COUNTERS)
