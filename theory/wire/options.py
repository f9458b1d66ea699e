"""What gRPC is told: limits, keepalive and retries of servers and channels, in one place."""

from collections.abc import Iterable
from typing import Any

import orjson

MESSAGE_BYTES = 8 * 1024 * 1024
"""The largest message, in either direction. Batches stop at 6 MiB of payload, so that the rest of a message fits."""
REPLY_BYTES = 6 * 1024 * 1024
"""What a reply may hold of payload; items beyond it are answered with `Exhausted` (`REPLY_FULL`)."""
METADATA_BYTES = 16 * 1024

SERVER_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.so_reuseport", 0),  # the default lets a second process bind the same port and take half of the calls
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.max_concurrent_streams", 1024),
    ("grpc.max_metadata_size", METADATA_BYTES),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
)

GATE_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.max_metadata_size", METADATA_BYTES),
    # A processor of many processes has a connection in each; a hostile one must not use up this process's files.
    ("grpc.max_allowed_incoming_connections", 16),
    ("grpc.max_concurrent_streams", 32),
    ("grpc.server_handshake_timeout_ms", 5_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
)
"""For a server whose callers nobody trusts."""

NOT_IDEMPOTENT: tuple[tuple[str, str], ...] = (
    ("theory.api.resources.v1.KVService", "Incr"),
    ("theory.api.resources.v1.QueueService", "Consume"),
    ("theory.api.ledger.v1.LedgerService", "Claim"),
    # Harmless to repeat, but gRPC's own buffer for repeating a stream has aborted the process (buffered_call.cc).
    ("theory.api.artifacts.v1.ArtifactsService", "UploadBlob"),
)
"""Methods that gRPC must not send twice: a repeat adds again, hands out other messages, or issues another epoch."""

_RETRY_POLICY = {
    "maxAttempts": 4,
    "initialBackoff": "0.05s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}


def service_config(not_idempotent: Iterable[tuple[str, str]] = NOT_IDEMPOTENT) -> bytes:
    """Retries of UNAVAILABLE for every method but these; throttled, so that an outage does not become a storm."""
    never: list[dict[str, Any]] = [
        {"name": [{"service": service, "method": method}]} for service, method in not_idempotent
    ]
    return orjson.dumps(
        {
            "loadBalancingConfig": [{"round_robin": {}}],
            "methodConfig": [*never, {"name": [{}], "retryPolicy": _RETRY_POLICY}],
            "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
        }
    )


CHANNEL_OPTIONS: tuple[tuple[str, int | bytes], ...] = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.max_metadata_size", METADATA_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1_000),  # whoever saw a service go away sees it return
    ("grpc.enable_retries", 1),
    ("grpc.enable_http_proxy", 0),  # a proxy for the web in the environment is none for gRPC in plain text
    ("grpc.service_config", service_config()),
)

PASSING_OPTIONS: tuple[tuple[str, int | bytes], ...] = (
    *(each for each in CHANNEL_OPTIONS if each[0] not in {"grpc.enable_retries", "grpc.service_config"}),
    ("grpc.enable_retries", 0),  # who asked first repeats it: nothing is kept here for that
    ("grpc.use_local_subchannel_pool", 1),  # a connection of their own: what stalls there stalls nobody else
)
"""For channels that pass on what strangers ask."""
