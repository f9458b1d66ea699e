"""The router of commands: what runs in a sandbox beside its main process."""

# ruff: noqa: N802 - RPC names are the proto's

import asyncio
from collections.abc import AsyncIterator, Mapping

from grpclib import GRPCError, Status
from modal_proto import task_command_router_pb2 as pb
from modal_proto.task_command_router_grpc import TaskCommandRouterBase

from tests.fakes.modal.hub import Hub
from tests.fakes.modal.processes import Process
from tests.fakes.modal.rpc import Service
from tests.fakes.modal.sandboxes import SandboxHandlers, SandboxObject


class CommandRouter(Service):
    """Whoever was given access to one sandbox may command every one: this is a fake."""

    BASE = TaskCommandRouterBase

    def __init__(self, hub: Hub, plane: SandboxHandlers) -> None:
        super().__init__(hub)
        self._plane = plane

    def authorize(self, rpc: str, meta: Mapping[str, str]) -> None:
        if not meta.get("authorization", "").startswith("Bearer "):
            raise GRPCError(Status.UNAUTHENTICATED, "a bearer token is required")

    async def TaskExecStart(self, request: pb.TaskExecStartRequest) -> pb.TaskExecStartResponse:
        found = self._sandbox(request.task_id)
        if not found.running:
            raise GRPCError(Status.NOT_FOUND, "the Sandbox has ended")
        if request.exec_id not in found.execs:
            try:
                started = await self._plane.runner.run(found.task_id, request.command_args, {}, request.workdir)
            except OSError as error:
                raise GRPCError(Status.INVALID_ARGUMENT, f"it cannot be started: {error}") from None
            found.execs[request.exec_id] = started
        return pb.TaskExecStartResponse()

    async def TaskExecStdioRead(
        self, request: pb.TaskExecStdioReadRequest
    ) -> AsyncIterator[pb.TaskExecStdioReadResponse]:
        process = self._process(request.task_id, request.exec_id)
        first = request.file_descriptor == pb.TASK_EXEC_STDIO_FILE_DESCRIPTOR_STDOUT
        async for _, part in (process.stdout if first else process.stderr).behind(request.offset):
            yield pb.TaskExecStdioReadResponse(data=part)

    async def TaskExecWait(self, request: pb.TaskExecWaitRequest) -> pb.TaskExecWaitResponse:
        code = await asyncio.shield(self._process(request.task_id, request.exec_id).ended)
        return pb.TaskExecWaitResponse(code=code) if code >= 0 else pb.TaskExecWaitResponse(signal=-code)

    async def TaskExecPoll(self, request: pb.TaskExecPollRequest) -> pb.TaskExecPollResponse:
        ended = self._process(request.task_id, request.exec_id).ended
        if not ended.done():
            return pb.TaskExecPollResponse()
        code = ended.result()
        return pb.TaskExecPollResponse(code=code) if code >= 0 else pb.TaskExecPollResponse(signal=-code)

    async def TaskExecStdinWriteStream(
        self, requests: AsyncIterator[pb.TaskExecStdinWriteStreamRequest]
    ) -> pb.TaskExecStdinWriteStreamResponse:
        process: Process | None = None
        async for request in requests:
            if request.HasField("start"):
                process = self._process(request.start.task_id, request.start.exec_id)
                if process.fed_all or request.start.offset != process.fed_bytes:
                    raise GRPCError(Status.FAILED_PRECONDITION, "this is not where its input goes on")
            elif process is not None:
                last = request.HasField("end")
                await process.feed(b"" if last else request.data, last=last)
        return pb.TaskExecStdinWriteStreamResponse()

    async def TaskExecStdinStatus(self, request: pb.TaskExecStdinStatusRequest) -> pb.TaskExecStdinStatusResponse:
        process = self._process(request.task_id, request.exec_id)
        return pb.TaskExecStdinStatusResponse(num_bytes_written=process.fed_bytes, closed=process.fed_all)

    def _sandbox(self, task_id: str) -> SandboxObject:
        for each in self._plane.sandboxes.values():
            if each.task_id == task_id:
                return each
        raise GRPCError(Status.NOT_FOUND, f"there is no task {task_id}")

    def _process(self, task_id: str, exec_id: str) -> Process:
        try:
            return self._sandbox(task_id).execs[exec_id]
        except KeyError:
            raise GRPCError(Status.NOT_FOUND, f"there is no command {exec_id}") from None
