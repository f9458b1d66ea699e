"""Content types by the names of files."""

from collections.abc import Mapping

from theory.core.artifact import DEFAULT_CONTENT_TYPE

CONTENT_TYPE_BY_SUFFIX: Mapping[str, str] = {
    ".avif": "image/avif",
    ".bin": "application/octet-stream",
    ".bmp": "image/bmp",
    ".css": "text/css",
    ".csv": "text/csv",
    ".flac": "audio/flac",
    ".gif": "image/gif",
    ".gz": "application/gzip",
    ".htm": "text/html",
    ".html": "text/html",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".ogg": "audio/ogg",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".tar": "application/x-tar",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".tsv": "text/tab-separated-values",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".wav": "audio/wav",
    ".webm": "video/webm",
    ".webp": "image/webp",
    ".xml": "application/xml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".zip": "application/zip",
}
"""A table of ours and not the machine's: the same file has the same type wherever it is written or uploaded."""


def content_type_by_name(name: str) -> str:
    """The content type that a file of this name gets; the default for a suffix that nobody listed."""
    _, dot, suffix = name.rpartition(".")
    return CONTENT_TYPE_BY_SUFFIX.get(f".{suffix.lower()}" if dot else "", DEFAULT_CONTENT_TYPE)
