"""The interfaces that stay while implementations change: keys, queues, artifacts, secrets, runtimes.

One Protocol at every floor: the client of the SDK, the rules of a service, a decorator and an adapter all have it. The
single forms are the stable names; where the wire is batch-first there is a batch form beside each, whose answer has one
entry per item, in order: the value, or the error of that item alone. A call that fails as a whole raises and says
nothing about its items.

Every method raises only classes of `theory.core.errors`; `Unavailable` is always among them. Unless it says otherwise,
a method is plan-scoped and may be called again after a lost answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from theory.core.artifact import DEFAULT_CONTENT_TYPE
from theory.core.context import ExpandedContext, ProcessorResult
from theory.core.errors import TheoryError
from theory.core.jcs import JSON
from theory.core.secret import Secret
from theory.core.spec import ProcessorSpec

MAX_PAGE_BYTES = 256 * 1024
"""How much of a log is read at once."""


@dataclass(frozen=True, slots=True)
class KVValue:
    """What a key holds. An absent or expired key has none."""

    value: bytes
    expire_time: datetime | None = None
    """When it expires by the server's clock; None where it does not."""


@dataclass(frozen=True, slots=True)
class KVPut:
    """One write of a batch."""

    key: str
    value: bytes
    ttl_s: int | None = None


@dataclass(frozen=True, slots=True)
class KVIncr:
    """One addition of a batch."""

    key: str
    by: int = 1
    ttl_s: int | None = None


class KVAdapter(Protocol):
    """Small values of one plan, gone with it.

    A read sees every write that was acknowledged before it; there is no order between keys. The caller passes checked
    keys, values and times to live; the adapter adds nothing to what they mean.
    """

    async def get(self, *, plan_id: str, key: str) -> bytes | None:
        """The value; None where the key is absent or has expired."""
        ...

    async def put(self, *, plan_id: str, key: str, value: bytes, ttl_s: int | None = None) -> None:
        """Set the value. It expires after `ttl_s` seconds; without one it never does, and an earlier end is cleared."""
        ...

    async def delete(self, *, plan_id: str, key: str) -> None:
        """Forget the key; an absent one is fine."""
        ...

    async def incr(self, *, plan_id: str, key: str, by: int = 1, ttl_s: int | None = None) -> int:
        """Add to a counter and return the sum: atomic and linearizable per key; an absent key counts from 0.

        `ttl_s` applies only where this call creates the key. A lost answer must not be followed by a second call: that
        would add twice. `NotReady` (`VALUE_NOT_INTEGER`) where the key holds no decimal int64; `OutOfRange`
        (`COUNTER_OVERFLOW`) where the sum would leave int64, and then the key is unchanged.
        """
        ...

    async def get_many(self, plan_id: str, keys: Sequence[str]) -> list[KVValue | TheoryError | None]:
        """`get` of each key, with its end. `Exhausted` (`REPLY_FULL`) for an item that no longer fits the answer."""
        ...

    async def put_many(self, plan_id: str, items: Sequence[KVPut]) -> list[TheoryError | None]:
        """`put` of each item; of two writes of a key the later one stays."""
        ...

    async def delete_many(self, plan_id: str, keys: Sequence[str]) -> list[TheoryError | None]:
        """`delete` of each key."""
        ...

    async def incr_many(
        self, plan_id: str, items: Sequence[KVIncr], request_id: str | None = None
    ) -> list[int | TheoryError]:
        """`incr` of each item, in order.

        With a `request_id` a repeat answers as the first call did and adds nothing; `AlreadyExists`
        (`REQUEST_ID_TAKEN`) where the id came with other items.
        """
        ...

    async def begin_plan(self, plan_id: str, *, event_every: int = 0) -> None:
        """Make each `event_every`-th change of the plan an event of its chain; 0 for none. The latest call counts."""
        ...

    async def end_plan(self, plan_id: str) -> None:
        """Forget every key of the plan, fast however many there are, and take none any more.

        Afterwards a read finds nothing, and a put or an incr is `NotReady` (`PLAN_ENDED`).
        """
        ...


@dataclass(frozen=True, slots=True)
class QueuePublish:
    """One message of a batch to publish."""

    body: bytes
    idempotency_key: str | None = None
    delay_s: int = 0


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a message. `duplicate` says that its idempotency key was known and nothing was published."""

    message_id: str
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class QueueNack:
    """One delivery of a batch to give back."""

    receipt_handle: str
    delay_s: int = 0


@dataclass(frozen=True, slots=True)
class QueueExtend:
    """One delivery of a batch to keep hidden."""

    receipt_handle: str
    visibility_timeout_s: int


@dataclass(frozen=True, slots=True)
class Message:
    """One delivery of a message."""

    message_id: str
    """The same in every delivery."""
    body: bytes
    receipt_handle: str
    """Names this delivery; valid for its plan and topic only."""
    receive_count: int
    """How often it was handed out, this delivery included."""
    publish_time: datetime


@dataclass(frozen=True, slots=True)
class TopicStats:
    """How many messages a topic holds, by what may become of them."""

    topic: str
    visible: int = 0
    hidden: int = 0
    delayed: int = 0
    dead: int = 0


class QueueAdapter(Protocol):
    """Messages of one plan, delivered at least once, in no promised order.

    A delivery hides its message for the visibility timeout by the server's clock, from the hand-out on. A handle that a
    newer delivery has superseded never touches that delivery. `ack`, `nack` and `extend` refuse a handle: `NotReady`
    (`RECEIPT_SUPERSEDED`) after a newer delivery, `NotFound` (`MESSAGE_UNKNOWN`) after an acknowledgement, `Invalid`
    (`RECEIPT_INVALID`) where it is of another plan or topic.
    """

    async def publish(
        self,
        *,
        plan_id: str,
        topic: str,
        body: bytes,
        idempotency_key: str | None = None,
        delay_s: int = 0,
        max_receives: int | None = None,
    ) -> str:
        """Add a message, visible after `delay_s` seconds, and return its id; it is there once this returns.

        A known `idempotency_key` (10 minutes, beyond an acknowledgement too) adds nothing and returns the first id.
        The first publish to a topic fixes `max_receives`: after so many deliveries without an `ack` a message goes to
        the dead letters. None and 0 stand for never; later None takes what is, `AlreadyExists` (`TOPIC_TAKEN`) for any
        other figure.
        """
        ...

    async def consume(
        self,
        *,
        plan_id: str,
        topic: str,
        max_messages: int = 1,
        visibility_timeout_s: int = 30,
        wait_s: int = 0,
        dead_letters: bool = False,
    ) -> list[Message]:
        """Hand out at most `max_messages` visible messages, or dead letters. A repeat hands out others.

        Where there is nothing it waits up to `wait_s` seconds for something, and returns with the first.
        """
        ...

    async def ack(self, *, plan_id: str, topic: str, receipt_handle: str) -> None:
        """Take the message of this delivery out of the queue."""
        ...

    async def nack(self, *, plan_id: str, topic: str, receipt_handle: str, delay_s: int = 0) -> None:
        """Give the message back; it is delivered again after `delay_s` seconds."""
        ...

    async def extend(self, *, plan_id: str, topic: str, receipt_handle: str, visibility_timeout_s: int) -> None:
        """Keep the message hidden for `visibility_timeout_s` seconds from now."""
        ...

    async def publish_many(
        self, plan_id: str, topic: str, items: Sequence[QueuePublish], *, max_receives: int | None = None
    ) -> list[Published | TheoryError]:
        """`publish` of each item, each with its delay."""
        ...

    async def ack_many(self, plan_id: str, topic: str, receipt_handles: Sequence[str]) -> list[TheoryError | None]:
        """`ack` of each handle."""
        ...

    async def nack_many(self, plan_id: str, topic: str, items: Sequence[QueueNack]) -> list[TheoryError | None]:
        """`nack` of each item."""
        ...

    async def extend_many(self, plan_id: str, topic: str, items: Sequence[QueueExtend]) -> list[TheoryError | None]:
        """`extend` of each item."""
        ...

    async def redrive_many(self, plan_id: str, topic: str, receipt_handles: Sequence[str]) -> list[TheoryError | None]:
        """Bring the dead letters of these deliveries back to the topic: visible at once, counted from 1 again."""
        ...

    async def stats(self, plan_id: str) -> list[TopicStats]:
        """The counts of each topic of the plan, by name."""
        ...

    async def begin_plan(self, plan_id: str, *, event_every: int = 0) -> None:
        """Make each `event_every`-th change of the plan an event of its chain; 0 for none. The latest call counts."""
        ...

    async def end_plan(self, plan_id: str) -> None:
        """Forget every topic of the plan, at a cost that grows with topics, not with messages, and take none any more.

        Afterwards a consume finds nothing, and a publish is `NotReady` (`PLAN_ENDED`).
        """
        ...


@dataclass(frozen=True, slots=True)
class Volume:
    """A scratch directory of one plan."""

    name: str
    create_time: datetime


class VolumeAdapter(Protocol):
    """Directories that containers of one plan share; gone with it."""

    async def create(self, *, plan_id: str, name: str) -> Volume:
        """An empty volume, or the one that has this name."""
        ...

    async def delete(self, *, plan_id: str, name: str) -> None:
        """Remove it with all that lies in it; an absent one is fine."""
        ...

    async def list(self, *, plan_id: str) -> Sequence[Volume]:
        """The plan's volumes, by name."""
        ...

    async def locate(self, *, plan_id: str, name: str) -> str:
        """The words of the provider for it, which its runtime mounts; `NotFound` (`VOLUME_UNKNOWN`)."""
        ...

    async def end_plan(self, plan_id: str) -> None:
        """Remove every volume of the plan, and make none any more: `NotReady` (`PLAN_ENDED`)."""
        ...


class ArtifactStore(Protocol):
    """Files of one world: a path never changes its bytes. Not plan-scoped; the implementation knows its world."""

    async def put_bytes(self, *, world_path: str, data: bytes, content_type: str = DEFAULT_CONTENT_TYPE) -> str:
        """Bind `data` to the path and return its CID; it is durable once this returns.

        The same bytes again are fine; `AlreadyExists` (`PATH_BOUND`) with the bound `cid` for others, `AlreadyExists`
        (`PATH_SHADOWED`) where the path would be a file and a folder, `Invalid` (`PATH_INVALID`).
        """
        ...

    async def get_bytes(self, *, world_path: str) -> bytes:
        """The bytes at the path, verified; `NotFound` (`ARTIFACT_UNKNOWN`), `Corrupt` (`BLOB_CORRUPT`)."""
        ...

    async def presign(self, *, world_path: str, ttl_s: int = 3600) -> str:
        """A URL that reads the path for `ttl_s` seconds without further rights; `Unsupported` where there is none."""
        ...

    async def compute_cid(self, *, data: bytes) -> str:
        """The CID that `data` has, whether or not it is stored."""
        ...


@dataclass(frozen=True, slots=True)
class SecretReference:
    """Where a runtime of the same provider finds a secret. No secret itself."""

    object: str
    """The provider's object."""
    key: str
    """The key of the value within it."""


class SecretResolver(Protocol):
    """Values by name. Not plan-scoped. A value never reaches a log, an error, an event or a receipt."""

    async def get(self, name: str) -> str:
        """One value; `NotFound` (`SECRET_UNKNOWN`) where the name has none."""
        ...

    async def check(self, names: Sequence[str]) -> list[str | TheoryError]:
        """For each name a tag that changes when the value does and says nothing else about it; `NotFound` per item.

        An empty tag says that the source cannot tell: what used the secret must not be remembered.
        """
        ...

    async def resolve(self, names: Sequence[str]) -> dict[str, Secret]:
        """All the values; `NotFound` (`SECRET_UNKNOWN`) with every missing one in `names` where any is missing.

        `Unsupported` (`CAPABILITY_MISSING`) where values cannot be read.
        """
        ...

    async def bind(self, names: Sequence[str]) -> dict[str, SecretReference]:
        """All the references, for a runtime of the same provider; errors as `resolve`."""
        ...


@dataclass(frozen=True, slots=True)
class ImageIdentity:
    """What exactly will run."""

    digest: str
    """`sha256:` of an OCI image, or `b3:` of a build context or of a processor's source."""
    kind: str
    """What the digest names: `oci`, `build`, `process`, `mock`."""


class LogSource(StrEnum):
    """Which of a processor's two outputs a piece of its log is of."""

    STDOUT = "stdout"
    STDERR = "stderr"
    BOTH = "both"
    """Nobody can tell any more: the settled end of a log."""


@dataclass(frozen=True, slots=True)
class LogPiece:
    """Some bytes that an attempt printed, without its secrets."""

    source: LogSource
    data: bytes
    position: str
    """Behind it; opaque outside of the adapter, in printable ASCII without `:`."""


@dataclass(frozen=True, slots=True)
class LogPage:
    """The next pieces of a log."""

    pieces: tuple[LogPiece, ...]
    ended: bool
    """Whether the attempt has ended and nothing comes behind these pieces."""
    gap: bool = False
    """Whether something before these pieces is known not to be kept any more."""


class RuntimeAdapter(Protocol):
    """A place where processors run. Every adapter gives the same form of result.

    The caller prepares what `context` names before, collects what was written after, and owns the decision whether to
    try again. The adapter owns the deadline and the kill, and names all it makes after the attempt, so that anyone can
    find and remove it later.
    """

    kind: str
    """How plans name it: `local`, `modal`, `mock`, `process`."""

    async def resolve_image(self, processor: ProcessorSpec) -> ImageIdentity:
        """Make what runs `processor` available here (pull, build, stage) and say what exactly it is.

        `NotReady` (`IMAGE_UNAVAILABLE`) where it cannot be had. Cheap once it was done.
        """
        ...

    async def invoke(self, processor_ref: str, context: ExpandedContext) -> ProcessorResult:
        """Run one attempt to its end, whatever end that is, within the spec's `timeout_s`.

        A processor that fails, hangs or is killed is a result, not an error. Called again for an attempt that is under
        way, it waits for that one; it never starts a second. If the task is cancelled, the attempt goes on: `cancel`
        ends it, or the next `invoke` finds it.
        """
        ...

    async def cancel(self, context: ExpandedContext) -> None:
        """End the attempt if it is under way; its `invoke` then returns `CANCELLED`. Idempotent."""
        ...

    async def logs(self, name: str, *, after: str = "", max_bytes: int = MAX_PAGE_BYTES) -> LogPage | None:
        """What the attempt `name` printed behind a position, as far as it did; None where nothing of it is kept here.

        Bounded whatever the processor prints: about `max_bytes` at once, and of a long log only the end is kept.
        Secrets are replaced as in `logs_tail`; what may yet become one is told once that is decided. `Invalid`
        (`LOG_POSITION_INVALID`) for a position that this adapter never gave.
        """
        ...

    async def reap(self, keep: frozenset[str]) -> tuple[str, ...]:
        """Remove what attempts left behind, and return their names; those named in `keep` are left alone.

        An attempt is named `<execution_id>-a<attempt_idx>`.
        """
        ...

    async def probe(self) -> Mapping[str, JSON]:
        """What answers here, such as versions; `NotReady` (`ENGINE_DOWN`) that says what to do where nothing does."""
        ...
