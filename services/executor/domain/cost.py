"""What an attempt costs: the policy's rates for what it held, and what its processor says it spent elsewhere."""

from datetime import datetime

from theory.core import money
from theory.core.spec import PolicyDoc, ProcessorSpec

_MILLI = 1000
_MB_PER_GB = 1024
_MICROSECONDS = 1_000_000


def cost_usd_micro(
    policy: PolicyDoc, processor: ProcessorSpec, started: datetime, finished: datetime, reported: int = 0
) -> int:
    """Integer micro-USD, rounded up, for the CPU and memory that were held from `started` to `finished`."""
    held = max(0, round((finished - started).total_seconds() * _MICROSECONDS))
    cpu = policy.usd_micro_per_cpu_s * processor.runtime.cpu_milli * held
    memory = policy.usd_micro_per_gb_s * processor.runtime.memory_mb * held
    return money.add(
        -(-cpu // (_MILLI * _MICROSECONDS)) + -(-memory // (_MB_PER_GB * _MICROSECONDS)),
        reported,
    )
