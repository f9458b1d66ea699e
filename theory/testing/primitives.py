"""The primitives that the kit knows, and the modules in which their promises stand."""

from collections.abc import Mapping
from importlib import import_module

from theory.testing.case import Case, cases_in

MODULES_BY_PRIMITIVE: Mapping[str, tuple[str, ...]] = {
    "kv": ("kv", "kv_counters", "kv_plans", "kv_quotas", "kv_events", "kv_input", "kv_attempts"),
    "queue": (
        "queue",
        "queue_handles",
        "queue_waiting",
        "queue_dead_letters",
        "queue_plans",
        "queue_quotas",
        "queue_events",
        "queue_input",
        "queue_attempts",
    ),
    "secret": ("secrets",),
    "volume": ("volumes",),
    "artifacts": ("blobs", "presign", "artifacts", "bindings", "retention", "attempts", "attempts_outputs"),
    "streams": (
        "streams",
        "streams_ring",
        "streams_input",
        "streams_events",
        "streams_fixing",
        "streams_promotion",
        "streams_attempts",
    ),
    "ledger": ("ledger", "ledger_input", "ledger_reading", "ledger_pruning", "ledger_log", "budget", "settlement"),
    "registry": ("registry", "snapshot"),
    "executor": ("executor", "executor_logs", "executor_predicates", "executor_streams"),
}


def cases_of(primitive: str) -> list[Case]:
    """Every promise of a primitive, theme by theme. Loaded when asked for."""
    modules = (import_module(f"theory.testing.cases.{name}") for name in MODULES_BY_PRIMITIVE[primitive])
    return [case for module in modules for case in cases_in(module)]
