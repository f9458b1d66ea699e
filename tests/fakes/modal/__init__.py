"""Modal's control plane on loopback, as far as the services use it: the unmodified client of the lock talks to it.

It speaks the contract of the package `modal_proto`. Where Modal's documentation is silent it is strict: it refuses
rather than guesses. `FakeModal` runs it; `Fault` and `Chaos` make it fail.
"""

from tests.fakes.modal.faults import Chaos, Fault
from tests.fakes.modal.host import TOKEN, FakeModal

__all__ = ["TOKEN", "Chaos", "FakeModal", "Fault"]
