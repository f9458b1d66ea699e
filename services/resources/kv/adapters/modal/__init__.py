"""Keys on Modal: a Dict for each plan, found by a name that every replica computes alike."""

from services.drivers import modal
from services.drivers.modal_plans import Places, Plans, PlanTeller
from services.drivers.opening import Opening
from services.resources.kv.adapters.modal.requests import Requests
from services.resources.kv.adapters.modal.store import ModalKV, PlanCells
from services.resources.kv.ports import KVQuotas, KVStore


async def open(url: str, opening: Opening, quotas: KVQuotas) -> KVStore:
    """`modal:` for the workspace's own environment, or `modal://environment`."""
    address = modal.Address.parse(url)
    connection = await opening.share(f"modal {url}", lambda: modal.connect(address, opening.secret))
    plans = Plans(connection, "kv", opening.clock)
    places = Places(plans, PlanCells(connection, opening))
    return ModalKV(places, Requests(connection, opening), PlanTeller(plans, "kv", opening), opening)
