"""Policies: what a plan may spend, when a failure is tried again, what is kept and told of scratch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from theory.core.document import Fields
from theory.core.errors import Invalid
from theory.core.jcs import JSON
from theory.core.money import MAX_USD_MICRO, UsdMicro
from theory.core.receipt import AttemptOutcome
from theory.core.refs import Ref
from theory.core.scratch import MAX_EVENT_EVERY

_MAX_ATTEMPTS = 100
_MAX_PAUSE_MS = 86_400_000
_MAX_KEEP_S = 31_536_000
_MAX_STATS_S = 3_600
_MAX_AT_ONCE = 1_000_000
MOST_LOSSES = 5
"""How often an execution is tried again because its machine failed it: what ends every machine is no bad luck."""
_RETRIED = (AttemptOutcome.FAILED, AttemptOutcome.TIMED_OUT, AttemptOutcome.LOST)


@dataclass(frozen=True, slots=True)
class PolicyDoc:
    """What a plan may spend, how its failures are tried again, and what becomes of its scratch."""

    id: Ref
    max_usd_micro: UsdMicro
    """The most that one plan may reserve and spend."""
    default_required_usd_micro: UsdMicro
    """Reserved for an attempt whose processor names no amount."""
    max_attempts: int
    backoff_ms: tuple[int, ...]
    retry_on: frozenset[AttemptOutcome]
    lease_ttl_s: int
    path_leases: bool
    """Recorded and listed; nothing is enforced by it."""
    max_per_plan: int | None
    """How many executions of one plan run at once; None for as many as there is room for."""
    max_per_processor: int | None
    """How many executions of one processor run at once, over all plans and executors; None likewise."""
    usd_micro_per_cpu_s: UsdMicro
    usd_micro_per_gb_s: UsdMicro
    keep_s: int
    """How long the scratch of an ended plan stays."""
    event_every: int
    """Each so many-th change of keys, and of topics, becomes an event of the plan's chain; 0 for none."""
    queue_stats_s: int | None
    """How often the counts of the plan's topics are written into its world; None for never."""
    document: Mapping[str, JSON]
    """The document that this is a view of."""

    @classmethod
    def parse(cls, document: JSON) -> Self:
        """The view of a policy document; `Invalid` (`SPEC_INVALID`) with `field`, such as `budget.max_usd_micro`."""
        fields = Fields(document, reason="SPEC_INVALID")
        budget, retry, leases = fields.object("budget"), fields.object("retry"), fields.object("leases")
        rates, scratch = fields.object("rates"), fields.object("scratch")
        concurrency = fields.object("concurrency")
        budget.need("max_usd_micro", int)
        most = budget.whole("max_usd_micro", 0, high=MAX_USD_MICRO)
        return cls(
            id=fields.needed("id", Ref.parse),
            max_usd_micro=most,
            default_required_usd_micro=budget.whole("default_required_usd_micro", 0, high=most),
            max_attempts=retry.whole("max_attempts", 1, low=1, high=_MAX_ATTEMPTS),
            backoff_ms=retry.wholes("backoff_ms", high=_MAX_PAUSE_MS),
            retry_on=frozenset(retry.texts("on", _retried) if "on" in retry else _RETRIED),
            lease_ttl_s=leases.whole("default_ttl_s", 3600, low=1, high=_MAX_KEEP_S),
            path_leases=leases.get("enable_path_leases", bool, default=False),
            max_per_plan=_limit(concurrency, "per_plan"),
            max_per_processor=_limit(concurrency, "per_processor"),
            usd_micro_per_cpu_s=rates.whole("usd_micro_per_cpu_s", 0, high=MAX_USD_MICRO),
            usd_micro_per_gb_s=rates.whole("usd_micro_per_gb_s", 0, high=MAX_USD_MICRO),
            keep_s=scratch.whole("keep_s", 0, high=_MAX_KEEP_S),
            event_every=_event_every(scratch),
            queue_stats_s=scratch.whole("queue_stats_s", 1, low=1, high=_MAX_STATS_S)
            if "queue_stats_s" in scratch
            else None,
            document=fields.document,
        )

    def retries(self, outcome: AttemptOutcome, attempt_idx: int, losses: int = 0) -> bool:
        """Whether another attempt follows attempt `attempt_idx` (from 0) that ended so.

        `losses` of the attempts so far, this one included, were lost: that is the machine's doing, and they are not
        counted as the processor's, unless there are more than `MOST_LOSSES` of them.
        """
        if outcome not in self.retry_on:
            return False
        if outcome is AttemptOutcome.LOST:
            return losses <= MOST_LOSSES
        return attempt_idx + 1 - losses < self.max_attempts

    def backoff_ms_after(self, attempt_idx: int) -> int:
        """How long to wait after attempt `attempt_idx`; the last entry of the list stands for all later ones."""
        return self.backoff_ms[min(attempt_idx, len(self.backoff_ms) - 1)] if self.backoff_ms else 0


def _limit(concurrency: Fields, name: str) -> int | None:
    return concurrency.whole(name, 1, low=1, high=_MAX_AT_ONCE) if name in concurrency else None


def _event_every(scratch: Fields) -> int:
    match scratch.raw("events"):
        case None | "off":
            return 0
        case "all":
            return 1
        case int(every) if type(every) is int and 1 < every <= MAX_EVENT_EVERY:
            return every
    raise scratch.refusal(f"all, off, or a whole number from 2 to {MAX_EVENT_EVERY} is expected", "events")


def _retried(text: str) -> AttemptOutcome:
    if text not in set(AttemptOutcome) - {AttemptOutcome.SUCCEEDED}:
        raise Invalid("SPEC_INVALID", "a way to fail is expected, such as timed_out", field="retry.on")
    return AttemptOutcome(text)
