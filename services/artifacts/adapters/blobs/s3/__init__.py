"""Bytes in a bucket of S3, or of another store that speaks its protocol and keeps what we build on."""

import asyncio

from services.artifacts.adapters.blobs.s3.address import Address
from services.artifacts.adapters.blobs.s3.client import Bucket, client_of
from services.artifacts.adapters.blobs.s3.probe import probe
from services.artifacts.adapters.blobs.s3.store import S3Blobs
from services.artifacts.ports import BlobAdapter
from theory.core.clock import SystemClock
from theory.core.ids import SystemIds

__all__ = ["S3Blobs", "open"]


async def open(url: str) -> BlobAdapter:
    """`s3://bucket/prefix?endpoint=URL&region=NAME`; the bucket is there, and is probed before it is trusted.

    `Unsupported` (`STORE_UNFIT`), `NotReady` (`STORE_MISSING`, `STORE_DENIED`), `Unavailable` (`STORE_UNREACHABLE`).
    """
    address = Address.parse(url)
    clock, ids = SystemClock(), SystemIds()
    bucket = Bucket(await asyncio.to_thread(client_of, address), address, clock)
    try:
        await bucket.ready()
        await probe(bucket, ids)
    except BaseException:
        await bucket.close()
        raise
    blobs = S3Blobs(bucket, clock=clock, ids=ids)
    blobs.start()
    return blobs
