"""Clients of the five services, and what runs inside a container. Each name is loaded when it is first used.

`theory.sdk.processor` runs inside containers that have the standard library alone: nothing may be imported here.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from theory.core.execution import ExecutionState, PlanState
    from theory.sdk.client import Theory
    from theory.sdk.plans import load_plan, run_plan, submit_plan
    from theory.sdk.verify import verify_all, verify_plan
    from theory.sdk.views import ExecutionView, PlanChange, PlanView

__all__ = [
    "ExecutionState",
    "ExecutionView",
    "PlanChange",
    "PlanState",
    "PlanView",
    "Theory",
    "load_plan",
    "run_plan",
    "submit_plan",
    "verify_all",
    "verify_plan",
]

_MODULE_BY_NAME = {
    "ExecutionState": "theory.core.execution",
    "ExecutionView": "theory.sdk.views",
    "PlanChange": "theory.sdk.views",
    "PlanState": "theory.core.execution",
    "PlanView": "theory.sdk.views",
    "Theory": "theory.sdk.client",
    "load_plan": "theory.sdk.plans",
    "run_plan": "theory.sdk.plans",
    "submit_plan": "theory.sdk.plans",
    "verify_all": "theory.sdk.verify",
    "verify_plan": "theory.sdk.verify",
}


def __getattr__(name: str) -> object:
    if name not in _MODULE_BY_NAME:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    found: object = getattr(import_module(_MODULE_BY_NAME[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
