"""How an attempt is called, and where its place is, as its context tells."""

from pathlib import Path

from theory.core.context import ExpandedContext


def attempt_name(context: ExpandedContext) -> str:
    """The name of everything that belongs to the attempt."""
    return f"{context.execution_id}-a{context.attempt_idx}"


def place_of(context: ExpandedContext) -> Path:
    """The directory of the attempt on this machine."""
    return Path(context.scratch_dir).parent
