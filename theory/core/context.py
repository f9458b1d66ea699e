"""What a processor is told, and what a runtime adapter tells of how it went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

from theory.core import jcs
from theory.core.artifact import Output
from theory.core.document import Fields
from theory.core.jcs import JSON, MAX_SAFE_INTEGER
from theory.core.money import UsdMicro
from theory.core.receipt import AttemptOutcome, Receipt
from theory.core.selector import Selector
from theory.core.spec import PolicyDoc, RegistrySnapshot

MAX_LOG_CHARACTERS = 16 * 1024


@dataclass(frozen=True, slots=True)
class ExpandedContext:
    """Everything that one attempt is given. Every processor, on every runtime, gets the same fields."""

    plan_id: str
    transition_id: str
    execution_id: str
    attempt_idx: int
    """Which try it is, from 0."""

    registry_snapshot: RegistrySnapshot
    policy: PolicyDoc

    inputs: Mapping[str, JSON]
    write_set_resolved: Sequence[Selector]
    """All that the attempt may write."""
    budget_reserved: Receipt | None
    """The reserve receipt; None where nothing was reserved."""

    world_mount: str
    """Where the read-only world is, as the processor sees it."""
    scratch_dir: str
    """Where the processor writes, as it sees it."""

    seed: int
    """The one source of chance of a deterministic processor."""
    memo_key: str
    env_fingerprint: str

    write_prefix: str
    """The folder for what is written by name alone; empty where the processor declares exact files only."""

    def to_document(self) -> dict[str, JSON]:
        """The content of `context.json`."""
        return {
            "plan_id": self.plan_id,
            "transition_id": self.transition_id,
            "execution_id": self.execution_id,
            "attempt_idx": self.attempt_idx,
            "registry_snapshot": self.registry_snapshot.to_document(),
            "policy": self.policy.document,
            "inputs": self.inputs,
            "write_set_resolved": [each.text for each in self.write_set_resolved],
            "budget_reserved": None if self.budget_reserved is None else _receipt_document(self.budget_reserved),
            "world_mount": self.world_mount,
            "scratch_dir": self.scratch_dir,
            "seed": self.seed,
            "memo_key": self.memo_key,
            "env_fingerprint": self.env_fingerprint,
            "write_prefix": self.write_prefix,
        }

    @classmethod
    def from_document(cls, document: JSON) -> Self:
        """The context that a document holds; `Invalid` (`FIELD_INVALID`) with `field`, `Corrupt` as its parts do."""
        fields = Fields(document, reason="FIELD_INVALID")
        return cls(
            plan_id=fields.need("plan_id", str),
            transition_id=fields.need("transition_id", str),
            execution_id=fields.need("execution_id", str),
            attempt_idx=fields.whole("attempt_idx", 0, high=MAX_SAFE_INTEGER),
            registry_snapshot=RegistrySnapshot.parse(fields.raw("registry_snapshot")),
            policy=PolicyDoc.parse(fields.raw("policy")),
            inputs=fields.mapping("inputs"),
            write_set_resolved=fields.texts("write_set_resolved", Selector.parse),
            budget_reserved=_receipt(fields.object("budget_reserved")) if "budget_reserved" in fields else None,
            world_mount=fields.need("world_mount", str),
            scratch_dir=fields.need("scratch_dir", str),
            seed=fields.whole("seed", 0, high=MAX_SAFE_INTEGER),
            memo_key=fields.need("memo_key", str),
            env_fingerprint=fields.need("env_fingerprint", str),
            write_prefix=fields.get("write_prefix", str, ""),
        )


@dataclass(frozen=True, slots=True)
class ProcessorResult:
    """How an attempt went: the same form from every runtime adapter.

    An adapter fills all but the last three; what the processor wrote is collected by the executor, by one rule for all.
    """

    outcome: AttemptOutcome
    exit_code: int | None
    """None where the processor never ran, or nobody saw its end."""
    oom: bool
    deadline_exceeded: bool
    started_at: datetime | None
    finished_at: datetime | None
    cpu_s_milli: int
    """Processor time used, in milliseconds; 0 where the runtime cannot tell."""
    logs_tail: str = ""
    """The last lines that it printed, at most `MAX_LOG_CHARACTERS`. Never recorded in the ledger."""
    message: str = ""
    """One sentence for a person on why it failed; empty for a success."""
    outputs: tuple[Output, ...] = ()
    named_outputs: Mapping[str, JSON] = field(default_factory=dict)
    """What `${outputs.name}` refers to."""
    reported_cost_usd_micro: UsdMicro = 0
    """What the processor says it spent elsewhere."""

    def with_outputs(
        self, outputs: Sequence[Output], named_outputs: Mapping[str, JSON], reported_cost_usd_micro: UsdMicro = 0
    ) -> Self:
        """The same result with what was collected."""
        return replace(
            self,
            outputs=tuple(outputs),
            named_outputs=named_outputs,
            reported_cost_usd_micro=reported_cost_usd_micro,
        )


def _receipt_document(receipt: Receipt) -> dict[str, JSON]:
    return {"receipt_id": receipt.receipt_id, "document": receipt.document}


def _receipt(fields: Fields) -> Receipt:
    return Receipt.parse(jcs.canonical(dict(fields.mapping("document"))), receipt_id=fields.need("receipt_id", str))
