"""What a server tells about itself: one JSON object per log line, and the metrics of its calls."""

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import grpc
import orjson
from prometheus_client import Counter, Histogram

from theory.core.clock import rfc3339

LOGGER = "theory"
"""The root of every logger of Theory."""

_FIELDS = "theory_fields"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 600)

_STARTED = Counter("grpc_server_call_started", "Calls that began.", ["grpc_method"])
_DURATION = Histogram(
    "grpc_server_call_duration_seconds", "How long calls took.", ["grpc_method", "grpc_status"], buckets=_BUCKETS
)


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
    """The counter and the histogram of one method, bound once: looking labels up costs more than counting."""

    def __init__(self, method: str) -> None:
        self._method = method.removeprefix("/")
        self._started = _STARTED.labels(self._method)
        self._by_code: dict[grpc.StatusCode, Histogram] = {}

    def started(self) -> None:
        """Count a call that begins."""
        self._started.inc()

    def ended(self, code: grpc.StatusCode, duration_s: float) -> None:
        """Count a call that ended with `code` after `duration_s`."""
        child = self._by_code.get(code)
        if child is None:
            child = self._by_code[code] = _DURATION.labels(self._method, code.name)
        child.observe(duration_s)
