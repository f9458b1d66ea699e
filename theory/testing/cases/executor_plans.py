"""Plans for the cases of the executor: documents under fresh names, carried out by the runtime that runs nothing."""

from collections.abc import Mapping, Sequence

from theory.core.ids import PlanId, RequestId
from theory.core.jcs import JSON
from theory.core.plan import PlanSpec
from theory.core.refs import SpecKind
from theory.core.registry import SpecDraft
from theory.sdk.executor import ExecutorClient
from theory.sdk.registry import RegistryClient
from theory.sdk.views import ExecutionView, PlanView
from theory.testing.case import Target


def step(name: str, **fields: JSON) -> dict[str, JSON]:
    """A transition; it runs the plan's own processor unless it names one."""
    return {"id": name, **fields}


class Plans:
    """What a case submits, and how it waits for the end."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._registry = RegistryClient(target.channel())
        self.executor = ExecutorClient(target.channel())

    def request_id(self) -> RequestId:
        """One that was never used."""
        return RequestId.parse(self._target.fresh("case"))

    async def tool(
        self,
        *,
        mock: Mapping[str, JSON] | None = None,
        admission: Sequence[JSON] = (),
        success: Sequence[JSON] = (),
        required: Sequence[str] = (),
        required_usd_micro: int | None = None,
    ) -> str:
        """Publish a processor of a fresh name; `mock` says how its attempts end."""
        ref = f"case/{self._target.fresh('tool')}@1"
        paid: list[JSON] = []
        if required_usd_micro is not None:
            paid.append({"id": "budget.available@1", "args": {"required_usd_micro": required_usd_micro}})
        document: dict[str, JSON] = {
            "ref": ref,
            "name": "A step of a conformance case",
            "image": {"build": {"context": "processors/case"}},
            "runtime": {"cpu": 1, "memory_gb": 1, "timeout_s": 60},
            "secrets": {"required": list(required)},
            "outputs": {"writes": [{"prefix": "/artifacts/outputs/"}]},
            "predicates": {"admission": [*paid, *admission], "success": list(success)},
        }
        if mock is not None:
            document["adapter"] = {"mock": dict(mock)}
        await self._registry.publish(SpecDraft(SpecKind.TOOLS, document))
        return ref

    async def policy(
        self, *, max_attempts: int = 1, backoff_ms: int = 0, concurrency: Mapping[str, JSON] | None = None
    ) -> str:
        """Publish a policy of a fresh name, which retries failures after a pause."""
        ref = f"{self._target.fresh('policy')}@1"
        retry: dict[str, JSON] = {"max_attempts": max_attempts, "backoff_ms": [backoff_ms], "on": ["failed"]}
        document: dict[str, JSON] = {"id": ref, "budget": {"max_usd_micro": 1_000_000}, "retry": retry}
        if concurrency is not None:
            document["concurrency"] = dict(concurrency)
        await self._registry.publish(SpecDraft(SpecKind.POLICIES, document))
        return ref

    async def spec(self, *steps: Mapping[str, JSON], **fields: JSON) -> PlanSpec:
        """A plan of these steps, of a fresh name, that retries nothing unless it names a policy."""
        shared = await self.tool() if any("processor" not in each for each in steps) else ""
        document: dict[str, JSON] = {
            "name": self._target.fresh("case"),
            "runtime": "mock",
            "policy": fields.pop("policy", None) or await self.policy(),
            "transitions": [{"processor": shared, **each} for each in steps],
            **fields,
        }
        return PlanSpec.parse(document)

    async def submit(self, *steps: Mapping[str, JSON], **fields: JSON) -> PlanView:
        """Submit a plan of these steps."""
        return await self.executor.submit(await self.spec(*steps, **fields), self.request_id())

    async def ended(self, plan_id: PlanId) -> PlanView:
        """The plan, once it has ended."""
        async for _ in self.executor.watch(plan_id):
            continue
        return await self.executor.get_plan(plan_id)

    async def executions(self, plan_id: PlanId) -> list[ExecutionView]:
        """Its executions as they stand."""
        return [each async for each in self.executor.executions(plan_id)]

    async def finished(self, plan_id: PlanId) -> list[ExecutionView]:
        """The executions of a plan, which must succeed."""
        plan = await self.ended(plan_id)
        assert plan.state.value == "succeeded", plan.failure
        return await self.executions(plan_id)

    async def listed(self, limit: int) -> list[PlanView]:
        """The newest plans."""
        return [each async for each in self.executor.list_plans(limit=limit)]
