"""Clients of the five services, and what runs inside a container. Each name is loaded when it is first used.

`theory.sdk.processor` runs inside containers that have the standard library alone: nothing may be imported here.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from theory.sdk.client import Theory
    from theory.sdk.plans import load_plan, run_plan, submit_plan
    from theory.sdk.verify import verify_all, verify_plan
    from theory.sdk.views import ExecutionState, ExecutionView, PlanChange, PlanState, PlanView

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
    "ExecutionState": "views",
    "ExecutionView": "views",
    "PlanChange": "views",
    "PlanState": "views",
    "PlanView": "views",
    "Theory": "client",
    "load_plan": "plans",
    "run_plan": "plans",
    "submit_plan": "plans",
    "verify_all": "verify",
    "verify_plan": "verify",
}


def __getattr__(name: str) -> object:
    if name not in _MODULE_BY_NAME:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    found: object = getattr(import_module(f"{__name__}.{_MODULE_BY_NAME[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
