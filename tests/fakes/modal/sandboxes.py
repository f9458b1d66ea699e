"""Sandbox of the second version: made, found by name, listed, waited for and ended."""

# ruff: noqa: N802 - RPC names are the proto's

import asyncio
import base64
import json
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from grpclib import GRPCError, Status
from modal_proto import api_pb2 as pb

from tests.fakes.modal.hub import Hub
from tests.fakes.modal.images import ImageHandlers
from tests.fakes.modal.processes import Process, ProcessRunner, Runner
from tests.fakes.modal.secrets import SecretHandlers

_LIFETIME_S = 1200
_IDLE = ("sleep", "infinity")


@dataclass
class SandboxObject:
    """One sandbox, running or not."""

    sandbox_id: str
    task_id: str
    app_id: str
    definition: pb.Sandbox
    tags: dict[str, str]
    created_at: float
    main: Process
    execs: dict[str, Process] = field(default_factory=dict)
    result: pb.GenericResult = field(default_factory=pb.GenericResult)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def running(self) -> bool:
        return not self.over.is_set()

    @property
    def metadata(self) -> pb.SandboxHandleMetadata:
        return pb.SandboxHandleMetadata(app_id=self.app_id, result=None if self.running else self.result)


class SandboxHandlers(ImageHandlers, SecretHandlers):
    """RPCs of Sandbox."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self._sandbox_hub = hub
        self.runner: Runner = ProcessRunner()
        self.sandboxes: dict[str, SandboxObject] = {}
        self._watches: set[asyncio.Task[None]] = set()

    async def AuthTokenGet(self, request: pb.AuthTokenGetRequest) -> pb.AuthTokenGetResponse:
        return pb.AuthTokenGetResponse(token=_token(self._sandbox_hub.now()))

    async def SandboxCreateV2(self, request: pb.SandboxCreateV2Request) -> pb.SandboxCreateV2Response:
        definition, tag = request.definition, uuid.uuid4().hex
        if definition.name and any(each.running for each in self._named(request.app_id, definition.name)):
            raise GRPCError(Status.ALREADY_EXISTS, f"a Sandbox named {definition.name!r} runs")
        if definition.image_id not in self.built:
            raise GRPCError(Status.FAILED_PRECONDITION, f"the image {definition.image_id} is not built")
        task_id = f"ta-{tag[:22]}V"  # what marks the second version
        variables = self._variables(request.secret_sources)
        reference = self.reference_of(definition.image_id)
        main = await self.runner.begin(task_id, reference, tuple(definition.entrypoint_args) or _IDLE, variables)
        made = SandboxObject(
            f"sb-{tag}", task_id, request.app_id, definition, _tags(request.tags), self._sandbox_hub.now(), main
        )
        self.sandboxes[made.sandbox_id] = made
        watch = asyncio.create_task(self._watch(made))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)
        return pb.SandboxCreateV2Response(
            sandbox_id=made.sandbox_id, task_id=task_id, metadata=made.metadata, command_router_access=self.access()
        )

    async def SandboxGetFromNameV2(self, request: pb.SandboxGetFromNameRequest) -> pb.SandboxGetFromNameResponse:
        app = self.apps.resolve(  # type: ignore[attr-defined]
            request.environment_name, request.app_name, pb.OBJECT_CREATION_TYPE_UNSPECIFIED
        )
        named = self._named(app.object_id, request.sandbox_name)
        found = [each for each in named if each.running] or (named[-1:] if request.include_terminated else [])
        if not found:
            raise GRPCError(Status.NOT_FOUND, f"there is no Sandbox named {request.sandbox_name!r}")
        return pb.SandboxGetFromNameResponse(sandbox_id=found[0].sandbox_id, metadata=found[0].metadata)

    async def SandboxGetFromName(self, request: pb.SandboxGetFromNameRequest) -> pb.SandboxGetFromNameResponse:
        raise GRPCError(Status.NOT_FOUND, "the fake makes no Sandbox of the first version")

    async def SandboxListV2(self, request: pb.SandboxListRequest) -> pb.SandboxListResponse:
        wanted = _tags(request.tags).items()
        found = [
            each
            for each in self.sandboxes.values()
            if each.app_id == request.app_id
            and (each.running or request.include_finished)
            and wanted <= each.tags.items()
            and (not request.before_timestamp or each.created_at < request.before_timestamp)
        ]
        return pb.SandboxListResponse(
            sandboxes=[
                pb.SandboxInfo(id=e.sandbox_id, created_at=e.created_at, app_id=e.app_id, metadata=e.metadata)
                for e in sorted(found, key=lambda each: -each.created_at)
            ]
        )

    async def SandboxTagsGetV2(self, request: pb.SandboxTagsGetRequest) -> pb.SandboxTagsGetResponse:
        tags = self.sandbox(request.sandbox_id).tags
        return pb.SandboxTagsGetResponse(tags=[pb.SandboxTag(tag_name=k, tag_value=v) for k, v in tags.items()])

    async def SandboxWaitV2(self, request: pb.SandboxWaitRequest) -> pb.SandboxWaitResponse:
        found = self.sandbox(request.sandbox_id)
        with suppress(TimeoutError):
            await asyncio.wait_for(found.over.wait(), max(request.timeout, 0.001))
        return pb.SandboxWaitResponse(result=found.result, metadata=found.metadata)

    async def SandboxTerminateV2(self, request: pb.SandboxTerminateRequest) -> pb.SandboxTerminateResponse:
        self.end(self.sandbox(request.sandbox_id), pb.GenericResult.GENERIC_STATUS_TERMINATED)
        return pb.SandboxTerminateResponse()

    async def SandboxGetTaskIdV2(self, request: pb.SandboxGetTaskIdRequest) -> pb.SandboxGetTaskIdResponse:
        return pb.SandboxGetTaskIdResponse(task_id=self.sandbox(request.sandbox_id).task_id)

    async def SandboxGetCommandRouterAccess(
        self, request: pb.SandboxGetCommandRouterAccessRequest
    ) -> pb.SandboxGetCommandRouterAccessResponse:
        access = self.access()
        return pb.SandboxGetCommandRouterAccessResponse(jwt=access.jwt, url=access.url)

    def access(self) -> pb.CommandRouterAccess:
        """Where commands of a sandbox are sent: the same port."""
        return pb.CommandRouterAccess(jwt=_token(self._sandbox_hub.now()), url=self._sandbox_hub.url)

    def sandbox(self, sandbox_id: str) -> SandboxObject:
        try:
            return self.sandboxes[sandbox_id]
        except KeyError:
            raise GRPCError(Status.NOT_FOUND, f"there is no Sandbox {sandbox_id}") from None

    def end(self, found: SandboxObject, status: "pb.GenericResult.GenericStatus.ValueType", code: int = 0) -> None:
        """Let it have ended so, with all that runs in it. The first end stays."""
        if found.running:
            found.result = pb.GenericResult(status=status, exitcode=code)
            found.over.set()
            for process in (found.main, *found.execs.values()):
                process.kill()
            self.runner.end(found.task_id)

    def end_all(self) -> None:
        """Leave nothing behind."""
        for each in self.sandboxes.values():
            self.end(each, pb.GenericResult.GENERIC_STATUS_TERMINATED)

    async def ended(self) -> None:
        """Return once every process has been seen to end: its loop is needed for that."""
        processes = [process for each in self.sandboxes.values() for process in (each.main, *each.execs.values())]
        await asyncio.gather(*(process.ended for process in processes), *self._watches)

    async def _watch(self, found: SandboxObject) -> None:
        try:
            code = await asyncio.wait_for(asyncio.shield(found.main.ended), found.definition.timeout_secs)
        except TimeoutError:
            self.end(found, pb.GenericResult.GENERIC_STATUS_TIMEOUT)
            return
        good = pb.GenericResult.GENERIC_STATUS_SUCCESS
        self.end(found, pb.GenericResult.GENERIC_STATUS_FAILURE if code else good, code if code >= 0 else 128 - code)

    def _named(self, app_id: str, name: str) -> list[SandboxObject]:
        return [each for each in self.sandboxes.values() if (each.app_id, each.definition.name) == (app_id, name)]

    def _variables(self, sources: Sequence[pb.SecretSource]) -> dict[str, str]:
        variables: dict[str, str] = {}
        for each in sources:
            given = each.WhichOneof("source") == "secret_id"
            variables |= self.secrets.get(each.secret_id).thing.values if given else dict(each.env.contents)
        return variables


def _tags(tags: Iterable[pb.SandboxTag]) -> dict[str, str]:
    return {each.tag_name: each.tag_value for each in tags}


def _token(now: float) -> str:
    """Nobody signs it: the client reads when it ends, and no more."""

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none'})}.{part({'exp': now + _LIFETIME_S})}.x"
