"""Leases over a store of blobs, for tests of what asks them."""

from datetime import timedelta

from services.artifacts.adapters.bindings.memory import MemoryBindings
from services.artifacts.domain.leases import Leases
from services.artifacts.ports import BindingAdapter, BlobAdapter
from theory.core.clock import Clock, FakeClock

LEASE = timedelta(days=1)


def leases_of(blobs: BlobAdapter, table: BindingAdapter | None = None, clock: Clock | None = None) -> Leases:
    """Leases of a day; without a table, of one in which nothing is marked."""
    clock = clock or FakeClock()
    return Leases(blobs, table or MemoryBindings(clock), clock, lease=LEASE)
