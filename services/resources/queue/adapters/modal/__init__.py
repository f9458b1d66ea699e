"""Messages on Modal: two Dicts and a Queue for each plan, found by names that every replica computes alike."""

from services.drivers import modal
from services.drivers.modal_plans import Places, Plans, PlanTeller
from services.drivers.opening import Opening
from services.resources.queue.adapters.modal.place import PlanQueues
from services.resources.queue.adapters.modal.store import ModalQueue
from services.resources.queue.ports import QueueQuotas, QueueStore


async def open(url: str, opening: Opening, quotas: QueueQuotas) -> QueueStore:
    """`modal:` for the workspace's own environment, or `modal://environment`."""
    address = modal.Address.parse(url)
    connection = await opening.share(f"modal {url}", lambda: modal.connect(address, opening.secret))
    plans = Plans(connection, "queue", opening.clock)
    places = Places(plans, PlanQueues(connection))
    return ModalQueue(places, PlanTeller(plans, "queue", opening), opening)
