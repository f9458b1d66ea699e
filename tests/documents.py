"""Small documents for tests: plans, and the specs that they name."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from theory.core.jcs import JSON
from theory.core.refs import SpecKind
from theory.core.registry import SpecDraft

STEP = "test/step@1"
"""The processor that transitions run unless they say otherwise."""


ONCE = "once@1"
"""A policy that tries nothing again."""

_seeds = itertools.count(1)


def plan(*transitions: Mapping[str, JSON], **fields: JSON) -> dict[str, JSON]:
    """A plan's document. Unless it says otherwise nothing is tried again, and its seed is new: no result is known."""
    given: dict[str, JSON] = {"name": "test", "policy": ONCE, "seed": next(_seeds), "transitions": list(transitions)}
    return {**given, **fields}


def step(name: str = "step", *needs: str, **fields: JSON) -> dict[str, JSON]:
    """A transition's document."""
    return {"id": name, "processor": STEP, "needs": list(needs), **fields}


def tool(
    ref: str = STEP,
    *,
    writes: Sequence[str] = ("/artifacts/outputs/",),
    admission: Sequence[JSON] = (),
    success: Sequence[JSON] = (),
    runtime: Mapping[str, JSON] | None = None,
    required: Sequence[str] = (),
    optional: Sequence[str] = (),
    **fields: JSON,
) -> SpecDraft:
    """A processor."""
    document: dict[str, JSON] = {
        "ref": ref,
        "name": "A step",
        "image": {"build": {"context": "processors/step"}},
        "runtime": {"cpu": 1, "memory_gb": 1, "timeout_s": 60, **(runtime or {})},
        "secrets": {"required": list(required), "optional": list(optional)},
        "outputs": {"writes": [{"prefix": each} for each in writes]},
        "predicates": {"admission": list(admission), "success": list(success)},
        **fields,
    }
    return SpecDraft(SpecKind.TOOLS, document)


def predicate(ref: str, **args: JSON) -> dict[str, JSON]:
    """A predicate of a processor."""
    return {"id": ref, "args": args}


def asks(usd_micro: int) -> dict[str, JSON]:
    """The admission predicate that asks for a budget."""
    return predicate("budget.available@1", required_usd_micro=usd_micro)


def policy(ref: str, *, max_usd_micro: int = 1_000_000, **fields: Any) -> SpecDraft:
    """A policy; retries nothing unless it is told to."""
    budget = {"max_usd_micro": max_usd_micro, **fields.pop("budget", {})}
    return SpecDraft(SpecKind.POLICIES, {"id": ref, "budget": budget, "retry": {"on": []}, **fields})


def schema(ref: str, content: JSON) -> SpecDraft:
    """A JSON Schema."""
    return SpecDraft(SpecKind.SCHEMAS, {"id": ref, "schema": content})
