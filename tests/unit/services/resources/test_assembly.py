"""The service as a whole: what is shared, what survives, what is refused."""

from pathlib import Path

import grpc
import pytest

from services.resources.assembly import assemble
from services.resources.config import ResourcesConfig
from theory.core.adapters import Message
from theory.core.errors import Corrupt, Denied, Invalid
from theory.sdk.kv import KVClient
from theory.sdk.queue import QueueClient
from theory.sdk.secrets import SecretsClient
from theory.wire.server import running


def config(home: Path, **urls: str) -> ResourcesConfig:
    return ResourcesConfig.load({"home": home, **urls})


def clients(channel: grpc.aio.Channel) -> tuple[KVClient, QueueClient, SecretsClient]:
    return KVClient(channel), QueueClient(channel), SecretsClient(channel)


async def delivered(queue: QueueClient) -> Message:
    await queue.publish(plan_id="p-1", topic="t", body=b"1")
    [message] = await queue.consume(plan_id="p-1", topic="t", visibility_timeout_s=600)
    return message


async def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    async with running([await assemble(config(tmp_path))]) as server:
        kv, queue, secrets = clients(server.channel())
        await kv.put(plan_id="p-1", key="a", value=b"1")
        message = await delivered(queue)
        tags = await secrets.check(["PATH"])
    async with running([await assemble(config(tmp_path))]) as server:
        kv, queue, secrets = clients(server.channel())
        assert await kv.get(plan_id="p-1", key="a") == b"1"
        assert await queue.consume(plan_id="p-1", topic="t") == []
        await queue.ack(plan_id="p-1", topic="t", receipt_handle=message.receipt_handle)
        assert await secrets.check(["PATH"]) == tags


async def test_stores_at_one_address_share_one_database(tmp_path: Path) -> None:
    async with running([await assemble(config(tmp_path))]) as server:
        await KVClient(server.channel()).put(plan_id="p-1", key="a", value=b"1")
        await delivered(QueueClient(server.channel()))
    assert {path.name for path in tmp_path.iterdir()} == {"resources.db", "resources.key", "service.key", "volumes"}


async def test_stores_may_lie_apart(tmp_path: Path) -> None:
    apart = config(tmp_path, kv_url="memory:", queue_url=f"sqlite:///{tmp_path}/queue.db")
    async with running([await assemble(apart)]) as server:
        kv, queue = KVClient(server.channel()), QueueClient(server.channel())
        await kv.put(plan_id="p-1", key="a", value=b"1")
        await delivered(queue)
        assert ((await kv.capabilities()).adapter, (await queue.capabilities()).adapter) == ("memory", "sql")
        assert ((await kv.capabilities()).durable, (await queue.capabilities()).durable) == (False, True)


async def test_the_key_is_private(tmp_path: Path) -> None:
    await (await assemble(config(tmp_path, kv_url="memory:", queue_url="memory:"))).close()
    key = tmp_path / "resources.key"
    assert key.stat().st_mode & 0o777 == 0o600
    key.chmod(0o640)
    with pytest.raises(Denied, match="chmod 600"):
        await assemble(config(tmp_path))
    key.chmod(0o600)
    key.write_bytes(b"short")
    with pytest.raises(Corrupt):
        await assemble(config(tmp_path))


@pytest.mark.parametrize(
    "urls",
    [
        {"kv_url": "etcd://host"},
        {"queue_url": "memory"},
        {"secrets_url": "vault:"},
        {"kv_url": "sqlite://host/path"},
        {"secrets_url": "env:NO-PREFIX"},
    ],
)
async def test_an_address_of_nothing_is_refused(tmp_path: Path, urls: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        await assemble(config(tmp_path, **urls))
    await (await assemble(config(tmp_path))).close()


async def test_it_is_ready_while_its_database_answers(tmp_path: Path) -> None:
    unit = await assemble(config(tmp_path))
    await unit.ready()
    await unit.close()
