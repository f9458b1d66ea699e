"""What attempts may read, in memory, beside the table of paths, in whose transactions it is written."""

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence

from services.artifacts.adapters.bindings.memory_retention import MemoryRetention
from services.artifacts.ports import Input, PinKind
from theory.core.cid import Cid
from theory.core.ids import ExecutionId


class MemoryInputs(MemoryRetention):
    """That part of a `BindingTransaction`; it uses the journal of the table, and its pins."""

    def __init__(self) -> None:
        super().__init__()
        self._inputs: dict[ExecutionId, dict[str, Input]] = {}

    def told(self, execution_ids: Collection[ExecutionId]) -> Mapping[ExecutionId, int]:
        return {
            each: max(i.epoch for i in self._inputs[each].values()) for each in execution_ids if each in self._inputs
        }

    def input_paths(self, execution_id: ExecutionId, epoch: int, paths: Collection[str]) -> set[str]:
        return self._paths(execution_id, epoch).intersection(paths)

    def input_page(self, execution_id: ExecutionId, epoch: int, prefix: str, after: str, limit: int) -> list[str]:
        below = sorted(path for path in self._paths(execution_id, epoch) if path.startswith(prefix))
        start = bisect_right(below, after)
        return below[start : start + limit]

    def readable(self, execution_id: ExecutionId, epoch: int, cids: Collection[Cid]) -> set[Cid]:
        uploads = {pin.cid for pin in self.pins if (pin.holder, pin.kind) == (execution_id.text, PinKind.UPLOAD)}
        told = {each.cid for each in self._inputs.get(execution_id, {}).values() if each.epoch == epoch}
        return (uploads | told).intersection(cids)

    def tell(self, inputs: Sequence[Input]) -> None:
        for each in inputs:
            of_execution = self._inputs.get(each.execution_id, {})
            self._set_inputs(each.execution_id, {each.path: each} | of_execution)

    def forget_inputs(self, execution_ids: Collection[ExecutionId]) -> None:
        for each in execution_ids:
            self._set_inputs(each, {})

    def _drop_inputs(self, world: str) -> None:
        self.forget_inputs([each for each, of in self._inputs.items() if any(i.world == world for i in of.values())])

    def _paths(self, execution_id: ExecutionId, epoch: int) -> set[str]:
        return {path for path, each in self._inputs.get(execution_id, {}).items() if each.epoch == epoch}

    def _set_inputs(self, execution_id: ExecutionId, inputs: dict[str, Input]) -> None:
        before = self._inputs.pop(execution_id, {})
        self._journal.append(lambda: self._set_inputs(execution_id, before))
        if inputs:
            self._inputs[execution_id] = inputs
