"""Objects that are made of parts: nobody sees them before all parts are there."""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import ClientError

from services.artifacts.adapters.blobs.s3.client import Bucket, sha256_of
from services.artifacts.adapters.blobs.s3.faults import refused

if TYPE_CHECKING:  # types of boto3 are a package of development
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef


class Upload(NamedTuple):
    """An object in the making."""

    key: str
    upload_id: str


class Multipart:
    """Uploads of one bucket. Errors are those of `Bucket`; an upload or a source that is gone is a `ClientError`."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._raw = bucket.raw

    async def begin(self, key: str, *, checked: bool) -> Upload:
        """A new one; `checked` where its parts come with checksums."""
        bucket, full = self._bucket.name, self._bucket.full(key)

        def begin() -> str:
            if checked:
                answer = self._raw.create_multipart_upload(Bucket=bucket, Key=full, ChecksumAlgorithm="SHA256")
            else:
                answer = self._raw.create_multipart_upload(Bucket=bucket, Key=full)
            return answer["UploadId"]

        return Upload(key, await self._bucket.write(begin))

    async def send(self, upload: Upload, number: int, data: bytes) -> "CompletedPartTypeDef":
        """Send a part, counted from 1; a second one of the same number takes its place."""
        checksum = sha256_of(data)
        answer = await self._bucket.write(
            lambda: self._raw.upload_part(
                Bucket=self._bucket.name,
                Key=self._bucket.full(upload.key),
                UploadId=upload.upload_id,
                PartNumber=number,
                Body=data,
                ChecksumSHA256=checksum,
            )
        )
        return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum}

    async def copy(self, upload: Upload, number: int, source: str, begin: int, end: int) -> "CompletedPartTypeDef":
        """Take a part from another object, inside the store."""
        answer = await self._bucket.write(
            lambda: self._raw.upload_part_copy(
                Bucket=self._bucket.name,
                Key=self._bucket.full(upload.key),
                UploadId=upload.upload_id,
                PartNumber=number,
                CopySource={"Bucket": self._bucket.name, "Key": self._bucket.full(source)},
                CopySourceRange=f"bytes={begin}-{end - 1}",
            )
        )
        return {"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]}

    async def complete(self, upload: Upload, parts: "Sequence[CompletedPartTypeDef]") -> None:
        """Give the parts their name, where it is free.

        Returns also where the name is taken, or the upload is gone, as it is after an earlier try whose answer was
        lost: what is there now, whoever relies on it has to ask.
        """

        def complete() -> None:
            try:
                self._raw.complete_multipart_upload(
                    Bucket=self._bucket.name,
                    Key=self._bucket.full(upload.key),
                    UploadId=upload.upload_id,
                    MultipartUpload={"Parts": list(parts)},
                    IfNoneMatch="*",
                )
            except ClientError as error:
                if not refused(error, HTTPStatus.PRECONDITION_FAILED, HTTPStatus.NOT_FOUND):
                    raise

        await self._bucket.write(complete)

    async def abort(self, upload: Upload) -> None:
        """Forget the parts. Harmless where the upload is gone."""

        def abort() -> None:
            try:
                self._raw.abort_multipart_upload(
                    Bucket=self._bucket.name, Key=self._bucket.full(upload.key), UploadId=upload.upload_id
                )
            except ClientError as error:
                if not refused(error, HTTPStatus.NOT_FOUND):
                    raise

        await self._bucket.write(abort)

    async def forget(self, upload: Upload) -> None:
        """Remove an upload and the object that it may have become, where that is nobody else's."""
        await self.abort(upload)
        await self._bucket.delete(upload.key)

    async def older(self, than: datetime) -> list[Upload]:
        """Those that were begun before that time."""
        prefix = self._bucket.prefix

        def look() -> list[Upload]:
            pages = self._raw.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket.name, Prefix=prefix)
            found = (each for page in pages for each in page.get("Uploads", []))
            return [
                Upload(each["Key"].removeprefix(prefix), each["UploadId"]) for each in found if each["Initiated"] < than
            ]

        return await self._bucket.read(look)
