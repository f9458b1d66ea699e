"""Image: a recipe has one id; the first who joins its build sees it done, or sees it fail."""

# ruff: noqa: N802 - RPC names are the proto's

import hashlib
from collections.abc import AsyncIterator

from modal_proto import api_pb2 as pb

from tests.fakes.modal.hub import Hub


class ImageHandlers:
    """RPCs of Image."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)  # type: ignore[call-arg]
        self.recipes: dict[str, pb.Image] = {}
        self.built: set[str] = set()
        self.broken: dict[str, str] = {}
        """References that cannot be pulled, and why."""

    def reference_of(self, image_id: str) -> str:
        """The reference that an image starts from, through all layers on top of it."""
        recipe = self.recipes[image_id]
        layers = {base.docker_tag: base.image_id for base in recipe.base_images}
        source = next(line.split()[1] for line in recipe.dockerfile_commands if line.upper().startswith("FROM "))
        return self.reference_of(layers[source]) if source in layers else source

    async def ImageGetOrCreate(self, request: pb.ImageGetOrCreateRequest) -> pb.ImageGetOrCreateResponse:
        text = request.builder_version.encode() + request.image.SerializeToString(deterministic=True)
        image_id = f"im-{hashlib.sha256(text).hexdigest()[:22]}"
        self.recipes.setdefault(image_id, request.image)
        done = image_id in self.built
        return pb.ImageGetOrCreateResponse(image_id=image_id, result=self._result(image_id) if done else None)

    async def ImageJoinStreaming(
        self, request: pb.ImageJoinStreamingRequest
    ) -> AsyncIterator[pb.ImageJoinStreamingResponse]:
        self.built.add(request.image_id)
        yield pb.ImageJoinStreamingResponse(entry_id="1-0", result=self._result(request.image_id), eof=True)

    def _result(self, image_id: str) -> pb.GenericResult:
        words = self.broken.get(self.reference_of(image_id))
        if words is None:
            return pb.GenericResult(status=pb.GenericResult.GENERIC_STATUS_SUCCESS)
        return pb.GenericResult(status=pb.GenericResult.GENERIC_STATUS_FAILURE, exception=words)
