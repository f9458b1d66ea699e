"""An event may lose its preimage, and nothing else; none that anything is proven with."""

from services.drivers.sql.refusals import UPDATE, refuse

revision = "r0002"
down_revision = "r0001"

_KEPT = ("log_index", "chain", "seq", "event_key", "kind", "ts_us", "this_hash")


def upgrade() -> None:
    """Let prunings through."""
    prunable = (
        "substr(OLD.kind, 1, 8) = 'scratch.' OR substr(OLD.kind, 1, 8) = 'streams.' OR OLD.kind = 'execution.started'"
    )
    same = " AND ".join(f"NEW.{each} = OLD.{each}" for each in _KEPT)
    refuse("event", UPDATE, unless=f"length(NEW.preimage) = 0 AND ({prunable}) AND {same}")
