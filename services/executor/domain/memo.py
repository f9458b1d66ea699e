"""The memo key: what must be equal for a result to be used again, and what differed where it was not."""

from collections.abc import Collection, Iterable, Mapping

from theory.core import jcs
from theory.core.chunk import place_of
from theory.core.cid import Cid
from theory.core.jcs import JSON
from theory.core.world_path import WorldPath

NEAREST_SEARCHED = 16
"""How many earlier results a miss is compared with."""


def components_of(  # noqa: PLR0913 - each argument is one component of the key
    *,
    tenant: str,
    processor_document: Mapping[str, JSON],
    image_digest: str,
    inputs: Mapping[str, JSON],
    input_list: Iterable[tuple[WorldPath, Cid]],
    seed: int,
    write_set: Iterable[str],
    write_prefix: str | None,
    fingerprint: Mapping[str, JSON],
    secret_tags: Mapping[str, str],
) -> dict[str, JSON]:
    """Everything that may change a result, in a form that can be compared piece by piece.

    Ids, times and the plan's name are not in it: a plan that is submitted again hits. Input bytes stand by CID, input
    values by the CID of their canonical JSON.
    """
    return {
        "tenant": tenant,
        "processor": Cid.of(jcs.canonical(dict(processor_document))).text,
        "image": image_digest,
        "inputs": {name: Cid.of(jcs.canonical(value)).text for name, value in inputs.items()},
        "input_cids": {path.text: cid.text for path, cid in input_list},
        "seed": str(seed),
        "write_set": sorted(write_set),
        "write_prefix": write_prefix,
        "fingerprint": dict(fingerprint),
        "secrets": dict(secret_tags),
    }


def complete(components: Mapping[str, JSON], volumes: Collection[str]) -> bool:
    """Whether the components say all that a result depends on; what was made otherwise is never used again.

    An empty tag says that nobody can tell a rotation of the secret. What a volume holds, and what was left in it, is
    nobody's to know.
    """
    secrets = components["secrets"]
    return not volumes and isinstance(secrets, Mapping) and all(secrets.values())


def differences(components: Mapping[str, JSON], earlier: Iterable[Mapping[str, JSON]]) -> tuple[str, ...]:
    """The components that differ from the nearest of the earlier keys; empty where there is none.

    The nearest is the one with the fewest differences, the latest of equals. A difference inside a map is named
    `component:key`, such as `input_cids:/artifacts/inputs/a.png`; all chunks of one stream are one difference,
    `input_cids:/streams/camera/frames/**`.
    """
    best: tuple[str, ...] | None = None
    for each in earlier:
        found = _compare(components, each)
        if best is None or len(found) < len(best):
            best = found
    return best or ()


def _compare(now: Mapping[str, JSON], before: Mapping[str, JSON]) -> tuple[str, ...]:
    found: list[str] = []
    for name in sorted(now.keys() | before.keys()):
        one, other = now.get(name), before.get(name)
        if one == other:
            continue
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            differing = (key for key in sorted(one.keys() | other.keys()) if one.get(key) != other.get(key))
            found += dict.fromkeys(f"{name}:{_stream_of(key) if name == 'input_cids' else key}" for key in differing)
        else:
            found.append(name)
    return tuple(found)


def _stream_of(path: str) -> str:
    """The selector of a chunk's stream; any other path as it is."""
    place = place_of(WorldPath(path))
    return path if place is None else f"{place[0]}/**"
