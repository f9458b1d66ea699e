"""Messages in SQS: a queue of AWS for each topic of each plan, found by names that every replica computes alike."""

import re

from services.drivers import aws
from services.drivers.opening import Opening
from services.resources.queue.adapters.sqs.names import Names
from services.resources.queue.adapters.sqs.queues import Queues
from services.resources.queue.adapters.sqs.reaper import Reaper
from services.resources.queue.adapters.sqs.store import SqsQueue
from services.resources.queue.ports import QueueQuotas, QueueStore
from theory.core.errors import Invalid

_THREADS = 32
_MAX_POLL_S = 5

_is_name = re.compile(r"[a-z0-9]{1,20}").fullmatch


async def open(url: str, opening: Opening, quotas: QueueQuotas) -> QueueStore:
    """`sqs://region?endpoint=URL&name=deployment&poll_s=1`; the region alone is required.

    The name (`theory`) keeps deployments of one account apart. `poll_s` is how long a receive that finds nothing looks:
    from 1 on SQS asks all of its servers, with 0 only some, so that a few messages may be missed once.
    """
    address = aws.Address.parse(url, "name", "poll_s")
    name, poll = address.options.get("name", "theory"), address.options.get("poll_s", "1")
    if not _is_name(name) or not poll.isdecimal() or int(poll) > _MAX_POLL_S:
        rule = f"name has 1 to 20 letters a-z and digits, poll_s is 0 to {_MAX_POLL_S}"
        raise Invalid("URL_INVALID", rule, url=url)
    names = Names(name)
    client = await opening.share(f"sqs {url}", lambda: aws.open_sqs(address, threads=_THREADS, prefix=names.deployment))
    queues = Queues(client, names)
    await opening.share(f"sqs reaper {url}", lambda: Reaper.opened(queues, opening.clock))
    return SqsQueue(client, queues, opening, poll_s=int(poll))
