"""Redis and Valkey: one pipelined connection for many callers, scripts, messages to all replicas, an outbox."""

from services.drivers.redis.address import Address
from services.drivers.redis.client import Redis
from services.drivers.redis.line import Argument
from services.drivers.redis.outbox import Outbox
from services.drivers.redis.script import Script

__all__ = ["Address", "Argument", "Outbox", "Redis", "Script"]
