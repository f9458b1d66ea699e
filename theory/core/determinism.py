"""Whether two runs of the same work came to the same: receipts and outputs, compared down to the leaf that differs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from theory.core import jcs
from theory.core.artifact import Output
from theory.core.errors import TheoryError
from theory.core.jcs import JSON
from theory.core.receipt import Receipt

_LEAVES_TOLD = 20
_SHOWN_CHARACTERS = 60
ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Difference:
    """One leaf that is not what it was."""

    what: str
    """`outcome`, `exit_code`, `snapshot`, `image`, `seed`, `inputs`, `input`, `fingerprint`, `output` or `result`."""
    where: str
    """A field of the fingerprint, a World path or a JSON pointer; behind a path follows what of its file differs."""
    before: str
    after: str

    def __str__(self) -> str:
        return f"{f'{self.what} {self.where}'.rstrip()}: {self.before} -> {self.after}"

    def to_document(self) -> dict[str, JSON]:
        """As JSON has it."""
        return {"what": self.what, "where": self.where, "before": self.before, "after": self.after}


def differences_of_receipts(before: Receipt, after: Receipt) -> list[Difference]:
    """What two settle receipts of the same work state otherwise; what they cost and when is left out.

    Outputs are compared by CID: `differing_outputs` names those whose bytes say more.
    """
    found: list[Difference] = []
    for what, field in _FIELDS.items():
        found += _leaves(what, before.document.get(field), after.document.get(field))
    # A failure has none, which says no more than its outcome.
    found += _leaves("result", before.document.get("named_outputs", {}), after.document.get("named_outputs", {}))
    found += _leaves(
        "fingerprint",
        before.document.get("env_fingerprint_preimage"),
        after.document.get("env_fingerprint_preimage"),
    )
    found += _by_path("input", _inputs(before), _inputs(after))
    found += _by_path("output", _outputs(before), _outputs(after))
    return found


_FIELDS = {
    "outcome": "outcome",
    "exit_code": "exit_code",
    "snapshot": "snapshot_id",
    "image": "image_digest",
    "seed": "seed",
    "inputs": "inputs_cid",
}


def differing_outputs(before: Receipt, after: Receipt) -> list[tuple[Output, Output]]:
    """The files that both wrote and that do not have the same bytes, in order of path."""
    second = {each.path: each for each in after.outputs}
    pairs = ((each, second[each.path]) for each in before.outputs if each.path in second)
    return [(one, other) for one, other in pairs if one.cid != other.cid]


def differences_of_bytes(path: str, before: bytes, after: bytes) -> list[Difference]:
    """Where two files differ: the leaves of two JSON texts by pointer; otherwise the first range of bytes."""
    try:
        one, other = jcs.parse(before), jcs.parse(after)
    except TheoryError:
        return [_range(path, before, after)]
    # The same values in other bytes: spaces, or the order of keys.
    return _leaves("output", one, other, path) or [_range(path, before, after)]


def _range(path: str, before: bytes, after: bytes) -> Difference:
    shorter = min(len(before), len(after))
    start = next((at for at in range(shorter) if before[at] != after[at]), shorter)
    end = next((at for at in range(start, shorter) if before[at] == after[at]), max(len(before), len(after)))
    where = f"{path} bytes {start}-{end - 1}"
    return Difference("output", where, _hex(before[start:end]), _hex(after[start:end]))


def _hex(data: bytes) -> str:
    text = data.hex()
    return text[:_SHOWN_CHARACTERS] + "…" if len(text) > _SHOWN_CHARACTERS else text or ABSENT


def _by_path(what: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Difference]:
    for path in sorted(before.keys() | after.keys()):
        one, other = before.get(path, ABSENT), after.get(path, ABSENT)
        if one != other:
            yield Difference(what, path, one, other)


def _inputs(receipt: Receipt) -> dict[str, str]:
    listed = receipt.document.get("input_cids")
    entries = listed if isinstance(listed, list) else []
    return {str(each["path"]): str(each["cid"]) for each in entries if isinstance(each, Mapping)}


def _outputs(receipt: Receipt) -> dict[str, str]:
    return {each.path.text: each.cid.text for each in receipt.outputs}


def _leaves(what: str, before: JSON, after: JSON, place: str = "") -> list[Difference]:
    """The first leaves that differ, by JSON pointer (RFC 6901) behind `place`; a few are enough to find the cause."""
    found: list[Difference] = []
    stack: list[tuple[str, JSON, JSON]] = [("", before, after)]
    while stack and len(found) < _LEAVES_TOLD:
        pointer, one, other = stack.pop()
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            names = sorted(one.keys() | other.keys(), reverse=True)
            stack += [(f"{pointer}/{_escaped(name)}", _at(one, name), _at(other, name)) for name in names]
        elif isinstance(one, list) and isinstance(other, list):
            both = range(max(len(one), len(other)) - 1, -1, -1)
            stack += [(f"{pointer}/{at}", _item(one, at), _item(other, at)) for at in both]
        elif type(one) is not type(other) or one != other:
            found.append(Difference(what, f"{place} {pointer}".strip(), _text(one), _text(other)))
    return found


class _Absent:
    """What is not there; no value of JSON is equal to it."""


def _at(value: Mapping[str, JSON], name: str) -> JSON:
    return value[name] if name in value else _Absent()  # type: ignore[return-value]


def _item(value: list[JSON], at: int) -> JSON:
    return value[at] if at < len(value) else _Absent()  # type: ignore[return-value]


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _text(value: JSON) -> str:
    if value is None or isinstance(value, _Absent):
        return ABSENT if value is not None else "null"
    text = jcs.canonical(value).decode()
    return text[:_SHOWN_CHARACTERS] + "…" if len(text) > _SHOWN_CHARACTERS else text
