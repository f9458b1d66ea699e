"""stream/digest@1: what the chunks that it may read are: how many of which streams, from where to where, one hash."""

import hashlib
from collections.abc import Mapping

from theory.sdk.processor import Context, ProcessorError, run


def main(context: Context) -> Mapping[str, object]:
    """Read every chunk below `prefix` (default: all streams) and write `digest.json`, one entry per stream."""
    prefix = context.input("prefix", str, "/streams/")
    chunks_by_series: dict[str, list[tuple[int, str]]] = {}
    for path in context.list(prefix):
        series, _, name = path.rpartition("/")
        chunks_by_series.setdefault(series, []).append((int(name), path))
    if not chunks_by_series:
        raise ProcessorError(f"there is no chunk below {prefix}; is it among the reads?")
    digests = {series: digest(context, chunks) for series, chunks in chunks_by_series.items()}
    count = sum(len(each) for each in chunks_by_series.values())
    path = context.write_json("digest.json", {"chunk_count": count, "streams": digests})
    return {"digest_path": path, "chunk_count": count}


def digest(context: Context, chunks: list[tuple[int, str]]) -> Mapping[str, object]:
    """What the chunks of one stream are, ascending by index; the hash is over their bytes, one behind the other."""
    hasher = hashlib.sha256()
    size_bytes = 0
    for _, path in chunks:
        data = context.read(path)
        hasher.update(data)
        size_bytes += len(data)
    return {
        "chunk_count": len(chunks),
        "first_idx": chunks[0][0],
        "last_idx": chunks[-1][0],
        "sha256": hasher.hexdigest(),
        "size_bytes": size_bytes,
    }


if __name__ == "__main__":
    run(main)
