"""Looking remembered results up: only what is whole is found, and it comes with what vouches for it."""

from collections.abc import Sequence

from services.executor.ports import ExecutorState, Ledger, MemoEntry, Remembered, World
from theory.core.cid import Cid
from theory.core.errors import NotFound, TheoryError
from theory.core.receipt import AttemptOutcome, Receipt


class MemoIndex:
    """The memo index as clients see it."""

    def __init__(self, *, state: ExecutorState, ledger: Ledger, world: World) -> None:
        self._state = state
        self._ledger = ledger
        self._world = world

    async def look_up(self, memo_keys: Sequence[str]) -> list[Remembered | TheoryError]:
        """What is remembered under each key; `NotFound` (`MEMO_UNKNOWN`) where nothing is, or not the whole of it.

        Whole is a result whose bytes are all stored and whose receipt says the same of key and outputs.
        """
        entries = await self._state.memos(memo_keys)
        if not entries:
            return [_unknown(each) for each in memo_keys]
        found = list(entries.values())
        answers = await self._ledger.receipts([each.receipt_id for each in found])
        receipt_by_key = {each.memo_key: answer for each, answer in zip(found, answers, strict=True)}
        cids = {output.cid for each in found for output in each.outputs}
        missing = set(await self._world.missing(sorted(cids)))
        return [self._judged(key, entries.get(key), receipt_by_key.get(key), missing) for key in memo_keys]

    def _judged(
        self, key: str, entry: MemoEntry | None, receipt: Receipt | TheoryError | None, missing: set[Cid]
    ) -> Remembered | TheoryError:
        if entry is None or not isinstance(receipt, Receipt):
            return _unknown(key)
        vouched = (
            receipt.kind == "settle"
            and receipt.outcome is AttemptOutcome.SUCCEEDED
            and receipt.document.get("memo_key") == key
            and receipt.outputs == entry.outputs
        )
        if not vouched or any(output.cid in missing for output in entry.outputs):
            return _unknown(key)
        return Remembered(entry, receipt)


def _unknown(key: str) -> NotFound:
    return NotFound("MEMO_UNKNOWN", "no whole result is remembered under this key", memo_key=key)
