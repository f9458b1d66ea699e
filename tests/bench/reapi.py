"""Small blobs and results as REAPI has them, in Python on grpc.aio: `BatchUpdateBlobs` and `GetActionResult`.

It does what such a server cannot do without: it reads the digests, hashes each blob with SHA-256, and keeps it in a
mapping; of a result that it finds it looks whether every output is stored. It has no limits, no identities, no errors,
no metrics and no log. The messages are those of REAPI v2, put together here, so that the bench needs no copy of its
protos.
"""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import psutil
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from tests.bench.server import ROOT, Process

_PACKAGE = "build.bazel.remote.execution.v2"
_METHOD = f"/{_PACKAGE}.ContentAddressableStorage/BatchUpdateBlobs"
_LOOK_UP = f"/{_PACKAGE}.ActionCache/GetActionResult"
_OUTPUTS = ("out/a.json", "out/result.json")
"""What each result of the action cache has."""
_MOST_BYTES = 8 * 1024 * 1024
_FIELD = descriptor_pb2.FieldDescriptorProto
_LIMITS = [("grpc.max_receive_message_length", _MOST_BYTES), ("grpc.max_send_message_length", _MOST_BYTES)]


def _messages() -> dict[str, Any]:
    """`Digest`, and the request and the answer of the batch."""
    file = descriptor_pb2.FileDescriptorProto(name="tests/bench/reapi.proto", package=_PACKAGE, syntax="proto3")
    scalar = {"string": _FIELD.TYPE_STRING, "int64": _FIELD.TYPE_INT64, "bytes": _FIELD.TYPE_BYTES}

    def message(into: Any, name: str, **fields: tuple[int, str]) -> Any:
        made = into.add(name=name)
        for field, (number, kind) in fields.items():
            many = kind.startswith("*")
            label = _FIELD.LABEL_REPEATED if many else _FIELD.LABEL_OPTIONAL
            plain = scalar.get(kind)
            reference = None if plain else f".{_PACKAGE}.{kind.lstrip('*')}"
            made.field.add(
                name=field, number=number, label=label, type=plain or _FIELD.TYPE_MESSAGE, type_name=reference
            )
        return made

    message(file.message_type, "Digest", hash=(1, "string"), size_bytes=(2, "int64"))
    asked = message(
        file.message_type,
        "BatchUpdateBlobsRequest",
        instance_name=(1, "string"),
        requests=(2, "*BatchUpdateBlobsRequest.Request"),
    )
    message(asked.nested_type, "Request", digest=(1, "Digest"), data=(2, "bytes"))
    told = message(file.message_type, "BatchUpdateBlobsResponse", responses=(1, "*BatchUpdateBlobsResponse.Response"))
    message(told.nested_type, "Response", digest=(1, "Digest"))
    message(file.message_type, "GetActionResultRequest", instance_name=(1, "string"), action_digest=(2, "Digest"))
    message(file.message_type, "OutputFile", path=(1, "string"), digest=(2, "Digest"))
    message(file.message_type, "ActionResult", output_files=(2, "*OutputFile"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in ("BatchUpdateBlobsRequest", "BatchUpdateBlobsResponse", "GetActionResultRequest", "ActionResult")
    }


class Client:
    """Sends batches, one call each."""

    def __init__(self, channel: grpc.aio.Channel, process: Process) -> None:
        types = _messages()
        self.process = process
        self._request = types["BatchUpdateBlobsRequest"]
        self._asked = types["GetActionResultRequest"]
        self._look_up = channel.unary_unary(
            _LOOK_UP,
            request_serializer=self._asked.SerializeToString,
            response_deserializer=types["ActionResult"].FromString,
        )
        self._call = channel.unary_unary(
            _METHOD,
            request_serializer=self._request.SerializeToString,
            response_deserializer=types["BatchUpdateBlobsResponse"].FromString,
        )

    async def put_many(self, blobs: Sequence[bytes]) -> None:
        """Store blobs; they are hashed here, too, as a client of such a server has to."""
        request = self._request()
        for data in blobs:
            item = request.requests.add(data=data)
            item.digest.hash = hashlib.sha256(data).hexdigest()
            item.digest.size_bytes = len(data)
        answer = await self._call(request, wait_for_ready=True, timeout=30)
        assert len(answer.responses) == len(blobs)

    async def look_up(self, action: str) -> None:
        """Ask for the result of an action, which is there."""
        request = self._asked()
        request.action_digest.hash = action
        answer = await self._look_up(request, wait_for_ready=True, timeout=30)
        assert len(answer.output_files) == len(_OUTPUTS)


@asynccontextmanager
async def serving() -> AsyncIterator[Client]:
    """The server in a process of its own, on a unix socket, until the block ends."""
    with TemporaryDirectory(prefix="theory-bench-") as folder:
        socket = Path(folder) / "reapi.sock"
        child = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.bench.reapi", str(socket), cwd=ROOT)
        try:
            async with grpc.aio.insecure_channel(f"unix:{socket}", options=_LIMITS) as channel:
                yield Client(channel, Process(psutil.Process(child.pid)))
        finally:
            child.terminate()
            await child.wait()


async def _serve(socket: str) -> None:
    types = _messages()
    stored: dict[str, bytes] = {}

    async def update(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        answer = types["BatchUpdateBlobsResponse"]()
        for item in request.requests:
            data = item.data
            if hashlib.sha256(data).hexdigest() != item.digest.hash or len(data) != item.digest.size_bytes:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the digest is another")
            stored[item.digest.hash] = data
            answer.responses.add().digest.CopyFrom(item.digest)
        return answer

    async def look_up(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        # Every action is known, and what it wrote is what it is called: the mapping is asked as for any other.
        answer = types["ActionResult"]()
        for path in _OUTPUTS:
            digest = hashlib.sha256(path.encode()).hexdigest()
            if digest not in stored:
                stored[digest] = path.encode()
            output = answer.output_files.add(path=path)
            output.digest.hash, output.digest.size_bytes = digest, len(stored[digest])
        return answer

    server = grpc.aio.server(options=_LIMITS)
    handler = grpc.unary_unary_rpc_method_handler(
        update,
        request_deserializer=types["BatchUpdateBlobsRequest"].FromString,
        response_serializer=types["BatchUpdateBlobsResponse"].SerializeToString,
    )
    looking = grpc.unary_unary_rpc_method_handler(
        look_up,
        request_deserializer=types["GetActionResultRequest"].FromString,
        response_serializer=types["ActionResult"].SerializeToString,
    )
    for name, each in ((_METHOD, handler), (_LOOK_UP, looking)):
        service, _, method = name[1:].partition("/")
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: each}),))
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
