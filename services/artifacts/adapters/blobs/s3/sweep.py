"""What uploads left in a bucket that never ended: a crash, or a store that did not answer when it was to forget."""

import logging
from datetime import timedelta

from services.artifacts.adapters.blobs.s3.client import Bucket
from services.artifacts.adapters.blobs.s3.multipart import Multipart
from services.artifacts.adapters.blobs.s3.staging import STAGING
from theory.core.clock import Clock
from theory.core.errors import TheoryError

_log = logging.getLogger(__name__)

GIVEN_UP = timedelta(days=1)
"""The age at which an upload is taken for one that nobody ends."""
_EVERY_S = 3600.0


class Sweep:
    """Removes staged objects and uploads without an end, and nothing that has a CID."""

    def __init__(self, bucket: Bucket, multipart: Multipart, clock: Clock) -> None:
        self._bucket = bucket
        self._multipart = multipart
        self._clock = clock

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                if removed := await self.once():
                    _log.info("staging.swept", extra={"theory_fields": {"removed": removed}})
            except TheoryError as error:
                _log.warning("staging.unswept", extra={"theory_fields": {"reason": error.reason}})
            except Exception:  # noqa: BLE001 - nobody waits for this task: unseen, parts would stay for ever
                _log.exception("staging.broke")
            await self._clock.sleep(_EVERY_S)

    async def once(self) -> int:
        """Remove what is old now; how many uploads and objects that was."""
        before = self._clock.now() - GIVEN_UP
        uploads = await self._multipart.older(before)
        for upload in uploads:
            await self._multipart.abort(upload)
        staged = await self._bucket.older(STAGING, before)
        for key in staged:
            await self._bucket.delete(key)
        return len(uploads) + len(staged)
