"""Plans: what a client submits, and the steps that become of it."""

from theory.core.plan.expand import Step, default_write_prefix, expand
from theory.core.plan.spec import (
    DEFAULT_POLICY,
    MAX_STEPS,
    MAX_TRANSITIONS,
    RUNTIMES,
    EachFile,
    FanOut,
    FileSource,
    ItemList,
    PlanFile,
    PlanSpec,
    TransitionSpec,
)

__all__ = [
    "DEFAULT_POLICY",
    "MAX_STEPS",
    "MAX_TRANSITIONS",
    "RUNTIMES",
    "EachFile",
    "FanOut",
    "FileSource",
    "ItemList",
    "PlanFile",
    "PlanSpec",
    "Step",
    "TransitionSpec",
    "default_write_prefix",
    "expand",
]
