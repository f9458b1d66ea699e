"""What the protos say of services, RPCs and reasons, read from their text: comments are not in compiled descriptors."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2] / "protos"
_REASONS = _ROOT / "theory" / "api" / "core" / "v1" / "error_reason.proto"

_SERVICE = re.compile(r"((?:^//.*\n)+)^service (\w+) \{\n((?:.*\n)*?)\}", re.MULTILINE)
_RPC = re.compile(r"((?:^  //.*\n)+)^  rpc (\w+)\((stream )?[\w.]+\) returns \((stream )?[\w.]+\)", re.MULTILINE)
_VALUE = re.compile(r"((?:^  //.*\n)+)^  ERROR_REASON_(\w+) = (\d+);", re.MULTILINE)
_MEANING = re.compile(r"(Any code|[A-Z_]+): (.+?\.)(?: (`.+)\.)?")
_SENTENCE = re.compile(r"(?<=\.)\s+(?=[A-Z`])")
_NAMED = re.compile(r"`[A-Z_]+` \((`[A-Z_]+`(?:, `[A-Z_]+`)*)\)")
_AS_OTHER = re.compile(r"\b(?:as in|as|Those of) `(\w+)`")
_READS = re.compile(r"(Get|List|Watch|Find|Stat|Read|Download|Check|Compute|Resolve)")


@dataclass(frozen=True, slots=True)
class Reason:
    """A value of `ErrorReason`."""

    name: str
    number: int
    code: str
    sentence: str
    metadata: str


@dataclass(frozen=True, slots=True)
class Rpc:
    """A method, and what its comment says: prose, then lists of errors."""

    name: str
    comment: str
    takes_stream: bool
    gives_stream: bool

    @property
    def prose(self) -> list[str]:
        """The sentences before the errors."""
        return _SENTENCE.split(" ".join(_before_errors(self.comment).split()))

    @property
    def errors(self) -> str:
        """The lists of errors, as Markdown."""
        rest = self.comment.removeprefix(_before_errors(self.comment)).strip()
        return re.sub(r"^(Errors.*:)\n", r"\1\n\n", rest, flags=re.MULTILINE)

    @property
    def repeat(self) -> str:
        """What a repeat does: what the comment says of it, or that nothing is changed at all."""
        said = [each for each in self.prose[1:] if re.search(r"dempotent|\brepeat\b", each)]
        if not said and _READS.match(self.name):
            return "changes nothing"
        return " ".join(said) or "not stated"

    @property
    def shape(self) -> str:
        """What travels."""
        if self.takes_stream:
            return "a stream to the service"
        return "a stream from the service" if self.gives_stream else "one request, one answer"


@dataclass(frozen=True, slots=True)
class Service:
    """A gRPC service, in the order of its file."""

    owner: str
    """The process that serves it: `registry`, `resources`."""
    name: str
    comment: str
    rpcs: tuple[Rpc, ...]

    @property
    def path(self) -> str:
        """The first part of its methods' full names."""
        return f"/theory.api.{self.owner}.v1.{self.name}"

    def reasons(self, rpc: Rpc) -> set[str]:
        """Every reason that the comment of `rpc` names, those of the methods that it refers to included."""
        found = reasons_in(rpc.comment)
        others = set(_AS_OTHER.findall(rpc.comment))
        return found.union(*(self.reasons(other) for other in self.rpcs if other.name in others and other is not rpc))


def reasons_in(comment: str) -> set[str]:
    """The reasons that a comment names behind their codes."""
    text = " ".join(comment.split())
    return {reason for names in _NAMED.findall(text) for reason in re.findall(r"\w+", names)}


@cache
def services() -> tuple[Service, ...]:
    """Every service, by owner, then in the order of its files."""
    return tuple(_services())


@cache
def reasons() -> tuple[Reason, ...]:
    """Every reason in the order of its number; `ValueError` for a comment that has not their form."""
    return tuple(_reasons())


def _services() -> Iterator[Service]:
    for file in sorted(_ROOT.rglob("*.proto")):
        for comment, name, body in _SERVICE.findall(file.read_text("utf-8")):
            rpcs = (Rpc(rpc, _said(said), bool(takes), bool(gives)) for said, rpc, takes, gives in _RPC.findall(body))
            yield Service(file.parts[-3], name, _said(comment), tuple(rpcs))


def _reasons() -> Iterator[Reason]:
    for comment, name, number in _VALUE.findall(_REASONS.read_text("utf-8")):
        if int(number) == 0:
            continue
        meaning = _MEANING.fullmatch(" ".join(_said(comment).split()))
        if meaning is None:
            raise ValueError(f"{name}: write `CODE: sentence. metadata.`")
        code, sentence, metadata = meaning.groups()
        yield Reason(name, int(number), code, sentence, metadata or "")


def _said(comment: str) -> str:
    """A comment without its slashes; one paragraph stays apart from the next."""
    return "\n".join(line.strip().removeprefix("//").removeprefix(" ") for line in comment.splitlines())


def _before_errors(comment: str) -> str:
    return re.split(r"^Errors", comment, maxsplit=1, flags=re.MULTILINE)[0]
