"""Sharing out what several consumers asked for together."""

from collections.abc import Sequence

from theory.core.adapters import Message
from theory.core.errors import Exhausted


def shared_out(messages: Sequence[Message], wanted: Sequence[int]) -> list[list[Message] | Exhausted]:
    """Messages for each consumer, who wants so many at most, in the order in which they asked.

    Whoever is left without one while others were served is told `Exhausted` (`REPLY_FULL`), and asks again: only an
    answer that holds nothing says that there is nothing.
    """
    shares: list[list[Message] | Exhausted] = []
    begin = 0
    for most in wanted:
        share = list(messages[begin : begin + most])
        begin += len(share)
        shares.append(share if share or not messages else Exhausted("REPLY_FULL", "others were served first"))
    return shares
