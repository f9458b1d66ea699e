"""Looking remembered results up: only what is whole is found, and it comes with what vouches for it."""

from collections.abc import Sequence

from services.executor.ports import ExecutorState, Ledger, MemoEntry, Remembered, World
from theory.core import jcs
from theory.core.errors import NotFound, TheoryError
from theory.core.receipt import AttemptOutcome, Receipt

_KEPT = 2_048
"""Of so many results it is known what their receipts say: some ten kilobytes each."""


class MemoIndex:
    """The memo index as clients see it."""

    def __init__(self, *, state: ExecutorState, ledger: Ledger, world: World) -> None:
        self._state = state
        self._ledger = ledger
        self._world = world
        self._vouched: dict[str, Remembered] = {}
        """What receipts vouched for, by their ids: a receipt never changes."""

    async def look_up(self, memo_keys: Sequence[str]) -> list[Remembered | TheoryError]:
        """What is remembered under each key; `NotFound` (`MEMO_UNKNOWN`) where nothing is, or not the whole of it.

        Whole is a result whose bytes are all stored and whose receipt says the same of key and outputs.
        """
        entries = await self._state.memos(memo_keys)
        if not entries:
            return [_unknown(each) for each in memo_keys]
        found = await self._read(list(entries.values()))
        cids = {output.cid for each in found.values() for output in each.entry.outputs}
        missing = set(await self._world.missing(sorted(cids)))
        whole = {
            key: each for key, each in found.items() if not any(output.cid in missing for output in each.entry.outputs)
        }
        return [whole.get(key) or _unknown(key) for key in memo_keys]

    async def _read(self, entries: Sequence[MemoEntry]) -> dict[str, Remembered]:
        """Those for which their receipts vouch, by key. The ledger is asked for each receipt once, and then no more."""
        known = {each.memo_key: self._vouched.get(each.receipt_id) for each in entries}
        unread = [each for each in entries if known[each.memo_key] is None]
        answers = await self._ledger.receipts([each.receipt_id for each in unread]) if unread else ()
        for entry, receipt in zip(unread, answers, strict=True):
            if isinstance(receipt, Receipt) and _vouches(receipt, entry):
                read = Remembered(entry, receipt, jcs.canonical(dict(entry.components)))
                known[entry.memo_key] = self._vouched[entry.receipt_id] = read
        while len(self._vouched) > _KEPT:
            del self._vouched[next(iter(self._vouched))]
        return {key: each for key, each in known.items() if each is not None}


def _vouches(receipt: Receipt, entry: MemoEntry) -> bool:
    return (
        receipt.kind == "settle"
        and receipt.outcome is AttemptOutcome.SUCCEEDED
        and receipt.document.get("memo_key") == entry.memo_key
        and receipt.outputs == entry.outputs
    )


def _unknown(key: str) -> NotFound:
    return NotFound("MEMO_UNKNOWN", "no whole result is remembered under this key", memo_key=key)
